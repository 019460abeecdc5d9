"""An independent check of a resolution against the records: what should never be found, looked for in SQL alone.

Belongs here: faults of the result. Does not belong here: any of the code it checks.
"""

from pathlib import Path
from typing import Final, NamedTuple

import duckdb

_CHECK_SQL: Final = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")


class Violation(NamedTuple):
    """A fault: what is wrong, and of whom: a profile id, or a record as service and id."""

    violation: str
    tenant_id: str
    subject: str


def violations(con: duckdb.DuckDBPyConnection) -> list[Violation]:
    """Every fault in the relations `customer_identities` and `profile_ids` of `con`.

    They are held against the relations `records`, `tenants`, `suppressed` and `overrides`, with the columns of
    `identities.Inputs`. All of them must be about the same tenants.
    """
    return [Violation(*row) for row in con.sql(_CHECK_SQL).fetchall()]
