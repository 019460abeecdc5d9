"""Validation of a delivered snapshot: whether its size is plausible, and which present rows it replaces."""

from collections.abc import Mapping

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.tables.projections import to_duckdb_type, to_lake_name
from crm_pipeline.tables.sources import crm

MIN_SHRINK_ROWS = 50
"""A table that had fewer rows may shrink by any amount."""


def find_shrunken_tables(con: DuckDBPyConnection, rows: Mapping[Table, str], keys: Mapping[Table, str]) -> list[str]:
    """Returns the names of tables that shrank to less than half.

    Rows of unknown tenants are quarantined, so they count neither before nor now: a service that names other tenants
    than all so far has lost every row.

    Reads: per table its relation in `rows`, all rows delivered, or in `keys`, all keys; `present_<lake name>`, the rows
    so far; `known_tenants`.
    """
    of_known = "where tenant_id in (from known_tenants)"
    counted = [(table, relation, "" if table is crm.tenant else of_known) for table, relation in rows.items()]
    shrunken = []
    for table, relation, condition in [*counted, *((table, relation, "") for table, relation in keys.items())]:
        before, now = con.execute(f"""
            select (select count(*) from present_{to_lake_name(table)} {condition}),
                (select count(*) from {relation} {condition})""").fetchall()[0]
        if before >= MIN_SHRINK_ROWS and now < before / 2:
            shrunken.append(table.name)
    return shrunken


def has_lost_every_tenant(con: DuckDBPyConnection, incoming: str) -> bool:
    """Whether there were tenants, and `incoming`, the delivered rows of the CRM's Tenant table, has none of them.

    Reads: `present_crm_tenant`, the rows so far.
    """
    present = f"present_{to_lake_name(crm.tenant)}"
    [(before, kept)] = con.execute(f"""
        select count(*), count(delivered.tenant_id) from {present} present
        left join (select distinct tenant_id from {incoming}) delivered using (tenant_id)
        where present.tenant_id is not null""").fetchall()
    return bool(before and not kept)


def build_replacement_condition(
    con: DuckDBPyConnection, table: Table, incoming: str, *, is_full: bool, keys: str | None
) -> str:
    """Returns the condition for the rows of `present_<lake name>` that a delivery replaces.

    A whole delivery replaces all rows. Otherwise `incoming` replaces rows with its keys, and rows without a key, since
    those come every time; where relation `keys` has every key of the source, rows with other keys are replaced too.
    """
    if is_full:
        return "true"
    (key,) = table.primary_key.columns
    conditions = [f"{key.key} in (select {key.key} from {incoming})"]
    # Only where needed: a lone `in` is a join that reads next to nothing, an `or` reads every row.
    if con.execute(f"from present_{to_lake_name(table)} where {key.key} is null limit 1").fetchall():
        conditions.append(f"{key.key} is null")
    if keys is not None:
        delivered_keys = (
            f"""select try_cast("{key.name}" as {to_duckdb_type(key)}) from {keys} where "{key.name}" is not null"""
        )
        conditions.append(f"{key.key} not in ({delivered_keys})")
    return " or ".join(conditions)
