"""Which source rows are read where only some are needed: those of some people, and single ones.

Temp table `needed_records` (tenant_id, service, record_id) has the people's records, `touched_profiles` whoever rows
name as profiles, and `stirred_rows` the single ones; who and which they are is found elsewhere (`stirred`, `touched`,
`retold`, `reached`). Reads of each table relation `present_<lake name>`.
"""

from collections.abc import Iterable, Sequence

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.domain.stirred import is_any
from crm_pipeline.tables import PEOPLE
from crm_pipeline.tables.ownership import own_column, owner_of
from crm_pipeline.tables.projections import duckdb_type, lake_name


def need_stirred(con: DuckDBPyConnection) -> None:
    """Create temp table `needed_records`: the stirred people's."""
    con.execute("create or replace temp table needed_records as from stirred")


def need_touched(con: DuckDBPyConnection) -> None:
    """Create temp table `needed_records`: those of the touched profiles, as customer_identities has them."""
    con.execute("""
        create or replace temp table needed_records as
        select tenant_id, service, service_record_id as record_id
        from customer_identities semi join touched_profiles using (tenant_id, profile_id)""")


def find_rows_of_needed(con: DuckDBPyConnection, tables: Iterable[Table]) -> None:
    """Create temp tables `needed_<lake name>`: of each table the rows of needed records and touched profiles."""
    for table in tables:
        _keep_rows_of(con, table, _owners(table))


def find_needed_rows(con: DuckDBPyConnection, tables: Sequence[Table]) -> None:
    """Create temp tables `needed_<lake name>`: the same, and the stirred rows with the people they are of.

    A row without an id is always needed: nothing tells it from others. Reads `noted` besides.
    """
    people = [table for table in tables if table in PEOPLE.values()]
    others = [table for table in tables if table not in people]
    for table in others:
        _keep_single_rows(con, table)
    for table in people:
        of_rows = (
            f"select tenant_id, {own_column(rows).key} as id from needed_{lake_name(rows)}"
            for rows in others
            if owner_of(rows) == owner_of(table)
        )
        _keep_rows_of(con, table, " union ".join((_owners(table), _stirred_of(table), *of_rows)))


def _keep_single_rows(con: DuckDBPyConnection, table: Table) -> None:
    """Of a table of which rows are needed for themselves too: nearly all are new, and those before seldom read."""
    name, own = lake_name(table), own_column(table).key
    [(least,)] = con.sql(f"select min({name}) from noted").fetchall()
    is_new = f"_version > {least}"
    is_owned = f"(tenant_id, {own}) in (select (tenant_id, {own}) from ({_owners(table)}))"
    con.execute(f"""
        create or replace temp table needed_{name} as
        from present_{name} where id is null
        union all
        from present_{name} where {is_new} and id is not null
            and ({is_owned} or (tenant_id, id) in (select (tenant_id, id) from ({_stirred_of(table)})))""")
    con.execute(f"""
        create or replace temp table older as
        {_stirred_of(table)} except select tenant_id, id from needed_{name}""")
    if is_any(con, "older", f"({_owners(table)})"):
        con.execute(f"""
            insert into needed_{name} from present_{name} where not {is_new} and id is not null
            and ({is_owned} or (tenant_id, id) in (select (tenant_id, id) from older))""")


def _keep_rows_of(con: DuckDBPyConnection, table: Table, owners: str) -> None:
    con.execute(f"""
        create or replace temp table needed_{lake_name(table)} as
        from present_{lake_name(table)} semi join ({owners}) using (tenant_id, {own_column(table).key})""")


def _stirred_of(table: Table) -> str:
    """A query of tenant_id and id of the table's stirred rows."""
    return f"""
        select tenant_id, cast(record_id as {duckdb_type(table.c.id)}) as id
        from stirred_rows where table_name = '{table.name}'"""


def _owners(table: Table) -> str:
    """A query of tenant_id and own column: the needed records or touched profiles that rows of the table can be of."""
    own = own_column(table)
    if service := owner_of(table):
        return f"""
            select tenant_id, try_cast(record_id as {duckdb_type(own)}) as {own.key}
            from needed_records where service = '{service}'"""
    return f"""
        select p.tenant_id, p.profile_id as {own.key} from profile_targets p
        semi join touched_profiles t on t.tenant_id = p.tenant_id and t.profile_id = p.target"""
