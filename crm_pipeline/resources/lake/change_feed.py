"""The change feed of the lake: the rows that changed after a version of their tenant, as they are and as they were."""

from collections.abc import Sequence

import duckdb
from sqlalchemy import Table

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.rows import build_replaced_rows_query
from crm_pipeline.tables.projections import to_lake_name


def build_changes_query(lake: Lake, con: duckdb.DuckDBPyConnection, table: Table, watermarks: str) -> str:
    """Returns a query of the log's rows with a later version than their tenant's watermark, with change columns.

    Reads: relation `watermarks`: tenant_id, and a version in a column with the table's lake name.
    """
    name = to_lake_name(table)
    (lowest,) = con.sql(f"select coalesce(min({name}), {lake.version(table)}) from {watermarks}").fetchall()[0]
    return f"""
        select log.* from {lake.create_log_view(con, table, after=lowest, name=f"recent_{name}_log")} log
        join (select tenant_id, {name} as _watermark from {watermarks}) using (tenant_id) where _version > _watermark"""


def find_changed_rows(
    lake: Lake, con: duckdb.DuckDBPyConnection, table: Table, columns: Sequence[str], watermarks: str
) -> None:
    """Creates temp table `changed_<lake name>`: these columns of changed rows, as they are now and as they were before.

    `_is_update` is false for a row that was inserted or deleted.

    Reads: relation `watermarks`, see `build_changes_query`.
    """
    name, column_list = to_lake_name(table), ", ".join(columns)
    con.execute(f"""
        create or replace temp table _recent_changes as
        select {column_list}, _replaces is not null and not _deleted as _is_update, _replaces
        from ({build_changes_query(lake, con, table, watermarks)})""")
    replaced_rows = build_replaced_rows_query(
        lake.create_log_view(con, table, name=f"{name}_versions"), "_recent_changes"
    )
    con.execute(f"""
        create or replace temp table changed_{name} as
        select {column_list}, _is_update from _recent_changes
        union select {column_list}, true from ({replaced_rows})""")
