"""Whether a delivered snapshot is to be believed.

What single rows mean is judged in `records`; reading and keeping snapshots is the business of sources and lake.
"""

from collections.abc import Sequence

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.tables.projections import lake_name

LEAST_ROWS = 50
"""A table that had fewer rows may shrink as it likes."""


def shrunken_tables(con: DuckDBPyConnection, tables: Sequence[Table]) -> list[str]:
    """Names of the tables with fewer than half as many `incoming_` as `present_` rows, where those were many."""
    shrunken = []
    for table in tables:
        name = lake_name(table)
        before, now = con.sql(
            f"select (select count(*) from present_{name}), (select count(*) from incoming_{name})"
        ).fetchall()[0]
        if before >= LEAST_ROWS and now < before / 2:
            shrunken.append(table.name)
    return shrunken
