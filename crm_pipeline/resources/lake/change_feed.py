"""What changed in the lake since a version, said as it is now and as it was before.

Whoever asks knows the version that was last looked at; what follows from a change is the domain's business.
"""

from collections.abc import Sequence

import duckdb
from sqlalchemy import Table

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.rows import build_replaced_rows_query
from crm_pipeline.tables.projections import to_lake_name


def find_changed_rows(
    lake: Lake, con: duckdb.DuckDBPyConnection, table: Table, columns: Sequence[str], since: str
) -> None:
    """Create temp table `changed_<lake name>`: these columns of rows as they became, and as they were before.

    Relation `since` has tenant_id and, called as the table is in the lake, a version: of these tenants every row is
    told that a later version speaks of. `_is_update` says of a row that it neither came nor went.
    """
    name, wanted = to_lake_name(table), ", ".join(columns)
    (least,) = con.sql(f"select coalesce(min({name}), {lake.version(table)}) from {since}").fetchall()[0]
    con.execute(f"""
        create or replace temp table _news as
        select {wanted}, _replaces is not null and not _deleted as _is_update, _replaces
        from {lake.log(con, table, after=least, name=f"news_of_{name}")}
        join (select tenant_id, {name} from {since}) using (tenant_id) where _version > {name}""")
    before = build_replaced_rows_query(lake.log(con, table, name=f"versions_of_{name}"), "_news")
    con.execute(f"""
        create or replace temp table changed_{name} as
        select {wanted}, _is_update from _news union select {wanted}, true from ({before})""")
