"""Decisions of operators that have no effect, so that none vanishes: what is wrong with each.

An override has none where one of its records is absent or set aside, or where it names one record twice; a suppressed
identifier where it is no address or number of its kind, or a pattern. Those that validation set aside have none either.
"""

from pathlib import Path
from typing import Final

from duckdb import DuckDBPyConnection

from crm_pipeline.domain.contact_keys.person_records import WILDCARDS

_INEFFECTIVE_DECISIONS_SQL: Final = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
INEFFECTIVE_ROWS_SQL: Final = """
    select tenant_id, 'CRM' as service, table_name, id as service_record_id, id as _subject, column_name, reason,
        'customer_identities' as found_by
    from ineffective_decisions where is_found_here"""
"""A query of the faults that validation did not find, as quarantine rows."""


def build_revised_condition(override_condition: str, record_condition: str) -> str:
    """Returns the condition on quarantined_records of this step that a row was found anew: it is replaced.

    That are the rows about the records and the overrides for which the conditions hold, and about every suppressed
    identifier.

    Reads: crm_identity_override.
    """
    return f"""case table_name when 'SuppressedIdentifier' then true
        when 'IdentityOverride' then (tenant_id, service_record_id) not in (
            select (tenant_id, id) from crm_identity_override where not ({override_condition}))
        else {record_condition} end"""


def find_ineffective_decisions(con: DuckDBPyConnection, override_condition: str = "true") -> None:
    """Creates temp table `ineffective_decisions`, with the columns of `ineffective_decisions.sql`.

    Where `people` has only some of a tenant's records, `override_condition` selects the overrides about these.

    Reads: crm_identity_override_validated, suppressed_identifiers, tenants, people.
    """
    query = f"from ({_INEFFECTIVE_DECISIONS_SQL}) where table_name <> 'IdentityOverride' or ({override_condition})"
    con.execute(f"create or replace temp table ineffective_decisions as {query}", {"wildcards": WILDCARDS})
