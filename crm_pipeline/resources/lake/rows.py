"""Rows in the lake: their columns, key and hash, and the queries that read and compare them.

What the rows mean belongs to the domain; which are read and written, and where they lie, to `lake`.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Table

from crm_pipeline.resources.lake.files import LakeFiles
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline.tables.projections import list_hashed_columns, list_key_columns, to_duckdb_type

SYSTEM_COLUMNS = {"_row_hash": "BIGINT", "_known_at": "TIMESTAMPTZ", "_version": "BIGINT"}
CHANGE_COLUMNS = {"_replaces": "BIGINT", "_deleted": "BOOLEAN"}
"""What the log knows besides: the hash of the row that this one took the place of, null for a new one, and an end."""
SOURCE_COLUMNS = {"_record_key": "VARCHAR", "_problems": "VARCHAR[]"}
"""What the lake keeps beside a source row's own columns: a key even where it has none, and what is wrong with it."""


def list_lake_columns(table: Table) -> dict[str, str]:
    """Names and DuckDB types of what a log holds, bookkeeping apart."""
    declared = {column.key: to_duckdb_type(column) for column in table.columns}
    return declared | SOURCE_COLUMNS if table.metadata is source_metadata else declared


def list_lake_key_columns(table: Table) -> tuple[str, ...]:
    """The key of a row in the lake; a tenant's source rows never share one with another tenant's."""
    return ("tenant_id", "_record_key") if table.metadata is source_metadata else list_key_columns(table)


def _format_literals(values: Iterable[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def build_tenant_condition(tenants: Sequence[str] | None) -> str:
    """A SQL condition that holds for the rows of these tenants; None means every row, those of no tenant included."""
    if tenants is None:
        return "true"
    return f"tenant_id in ({_format_literals(tenants)})" if tenants else "false"


def build_superseded_join_sql(table: Table, recent: str) -> str:
    """What the base's rows are anti joined with: the hashes of those that later ones took the place of.

    One number is found sooner than a key of several texts. But a row that passes from one tenant to another does not
    know what it replaces, where its key lets it pass.
    """
    if "tenant_id" not in list_lake_key_columns(table):
        return f"{recent} using ({', '.join(list_lake_key_columns(table))})"
    return f"(select _replaces as _row_hash from {recent}) using (_row_hash)"


def build_replaced_rows_query(log: str, news: str) -> str:
    """A query of the rows of a log that those of relation `news` took the place of."""
    return f"from {log} where _row_hash in (select _replaces from {news} where _replaces is not null)"


def build_row_hash_sql(table: Table) -> str:
    """A SQL expression for 60 bits that change whenever a hashed column does, the same with every version of DuckDB."""
    names = list_hashed_columns(table) + (tuple(SOURCE_COLUMNS) if table.metadata is source_metadata else ())
    texts = [f"cast({name} as varchar)" for name in names]
    # With their lengths, so that no value can pass for a null, or for two values and what stands between them.
    values = ", ".join(f"strlen({text}), ':', {text}" for text in texts)
    return f"cast('0x' || left(sha1(concat({values})), 15) as bigint)"


def build_cast_rows_query(table: Table, relation: str) -> str:
    """A query of the relation with exactly the table's lake columns."""
    columns = ", ".join(f"cast({column} as {kind}) as {column}" for column, kind in list_lake_columns(table).items())
    return f"select {columns} from {relation}"


def build_differences_query(table: Table, incoming: str, before: str) -> str:
    """A query of the keys whose row is another one in `incoming` than in `before`, with both hashes."""
    key = ", ".join(list_lake_key_columns(table))
    return f"""
        select {key}, now._row_hash, before._row_hash as _previous_hash
        from (select {key}, {build_row_hash_sql(table)} as _row_hash from ({build_cast_rows_query(table, incoming)})) as now
        full join (select {key}, _row_hash from {before}) as before using ({key})
        where now._row_hash is distinct from before._row_hash"""


def build_new_rows_query(table: Table, incoming: str) -> str:
    """A query of the rows of `incoming` as what nothing was there for."""
    return f"""
        select *, {build_row_hash_sql(table)} as _row_hash, null::bigint as _replaces, false as _deleted
        from ({build_cast_rows_query(table, incoming)})"""


def build_changed_rows_query(table: Table, incoming: str, *, has_removed: bool) -> str:
    """A query of what `_changes` names: the rows of `incoming`, and of `_present` those that are gone."""
    columns, key = ", ".join(list_lake_columns(table)), ", ".join(list_lake_key_columns(table))
    rows = f"""
        select {columns}, _changes._row_hash, _previous_hash as _replaces, false as _deleted
        from ({build_cast_rows_query(table, incoming)}) join _changes using ({key}) where _changes._row_hash is not null"""
    if not has_removed:
        return rows
    # One number is found sooner than a key of several texts.
    return f"""{rows} union all
        select {columns}, _previous_hash, _previous_hash, true
        from (from _present where _row_hash in (select _previous_hash from _changes where _row_hash is null)) as _present
        join _changes using ({key}) where _changes._row_hash is null"""


def build_scan_query(files: LakeFiles, columns: dict[str, str]) -> str:
    """A query of a Delta table's files; of no rows where there is none."""
    if not files:
        return "select " + ", ".join(f"null::{kind} as {name}" for name, kind in columns.items()) + " where false"
    paths = _format_literals(file.path for file in files)
    return f"select {', '.join(columns)} from read_parquet([{paths}], union_by_name = true)"
