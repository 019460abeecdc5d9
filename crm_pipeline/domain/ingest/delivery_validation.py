"""Whether a delivered snapshot is to be believed, and which of the present rows it speaks of.

What single rows mean is judged in `records`; reading and keeping snapshots is the business of sources and lake.
"""

from collections.abc import Mapping

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.tables.projections import to_duckdb_type, to_lake_name

MIN_SHRINK_ROWS = 50
"""A table that had fewer rows may shrink as it likes."""


def find_shrunken_tables(con: DuckDBPyConnection, counted: Mapping[Table, str]) -> list[str]:
    """Names of the tables with fewer than half as many rows in the relation given as in `present_<lake name>`."""
    shrunken = []
    for table, relation in counted.items():
        before, now = con.execute(
            f"select (select count(*) from present_{to_lake_name(table)}), (select count(*) from {relation})"
        ).fetchall()[0]
        if before >= MIN_SHRINK_ROWS and now < before / 2:
            shrunken.append(table.name)
    return shrunken


def build_replacement_condition(
    con: DuckDBPyConnection, table: Table, incoming: str, *, is_whole: bool, keys: str | None
) -> str:
    """A condition for the rows of the lake, `present_<lake name>`, that a delivery replaces.

    A whole one replaces them all. Else `incoming` replaces what has its keys, and what has none, since those come
    every time; where every key there is was delivered as relation `keys`, whatever is not among them is gone.
    """
    if is_whole:
        return "true"
    (key,) = table.primary_key.columns
    conditions = [f"{key.key} in (select {key.key} from {incoming})"]
    # Not said where it is needless: a lone `in` is a join that reads next to nothing, an `or` looks at every row.
    if con.execute(f"from present_{to_lake_name(table)} where {key.key} is null limit 1").fetchall():
        conditions.append(f"{key.key} is null")
    if keys is not None:
        there = f"""select try_cast("{key.name}" as {to_duckdb_type(key)}) from {keys} where "{key.name}" is not null"""
        conditions.append(f"{key.key} not in ({there})")
    return " or ".join(conditions)
