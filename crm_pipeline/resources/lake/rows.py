"""Rows in the lake: their columns, key and hash, and the SQL that reads and compares them."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Table

from crm_pipeline.resources.lake.files import LakeFiles, read_column_names
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline.tables.projections import list_hashed_columns, list_key_columns, to_duckdb_type

SYSTEM_COLUMNS = {"_row_hash": "BIGINT", "_known_at": "TIMESTAMPTZ", "_version": "BIGINT"}
"""Columns that log and base add to every row: its hash, as_of of the run that wrote it, and its version."""
CHANGE_COLUMNS = {"_replaces": "BIGINT", "_deleted": "BOOLEAN"}
"""Columns that only the log has: the hash of the row this one replaced, null for a new row, and a deletion flag."""
SOURCE_COLUMNS = {"_record_key": "VARCHAR", "_problems": "VARCHAR[]"}
"""Columns added to a source row: a key, also for a row without an id, and its problems as `column:REASON`."""
LATER_SOURCE_COLUMNS = {"_warnings": "VARCHAR[]", "_local_times": "VARCHAR"}
"""Columns added to a source row that older lakes lack: values read as none, as `column:REASON:value`, and the times
that depend on the tenant's zone, as delivered, in JSON; null where there are none.

Where they are null they are no part of the row's hash: the rows of older lakes keep theirs.
"""


def list_lake_columns(table: Table) -> dict[str, str]:
    """Returns names and DuckDB types of the columns in the lake, without system and change columns."""
    declared = {column.key: to_duckdb_type(column) for column in table.columns}
    return declared | SOURCE_COLUMNS | LATER_SOURCE_COLUMNS if table.metadata is source_metadata else declared


def list_lake_key_columns(table: Table) -> tuple[str, ...]:
    """Returns the key columns of a row in the lake; for source rows they include the tenant."""
    return ("tenant_id", "_record_key") if table.metadata is source_metadata else list_key_columns(table)


def _format_literals(values: Iterable[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def build_tenant_condition(tenants: Sequence[str] | None) -> str:
    """Returns a SQL condition for the rows of these tenants; None means every row, also those without a tenant."""
    if tenants is None:
        return "true"
    return f"tenant_id in ({_format_literals(tenants)})" if tenants else "false"


def build_superseded_join_sql(table: Table, recent: str) -> str:
    """Returns what to anti join the base's rows with to drop those that relation `recent` replaces.

    Joins by row hash, because one number is faster than a key of several texts. Where the key has no tenant_id, a row
    may change its tenant and then has no `_replaces`: such tables join by key.
    """
    if "tenant_id" not in list_lake_key_columns(table):
        return f"{recent} using ({', '.join(list_lake_key_columns(table))})"
    return f"(select _replaces as _row_hash from {recent}) using (_row_hash)"


def build_replaced_rows_query(log: str, changes: str) -> str:
    """Returns a query of the rows of `log` that rows of relation `changes` replaced."""
    return f"from {log} where _row_hash in (select _replaces from {changes} where _replaces is not null)"


def build_row_hash_sql(table: Table) -> str:
    """Returns a SQL expression for a 60-bit hash of the hashed columns, stable across versions of DuckDB."""
    names = list_hashed_columns(table) + (tuple(SOURCE_COLUMNS) if table.metadata is source_metadata else ())
    texts = [f"cast({name} as varchar)" for name in names]
    # Lengths keep a value distinct from null, and from two values with a separator between them.
    values = ", ".join(f"strlen({text}), ':', {text}" for text in texts)
    if table.metadata is source_metadata:
        values += "".join(f", ';{name}' || cast({name} as varchar)" for name in LATER_SOURCE_COLUMNS)
    return f"cast('0x' || left(sha1(concat({values})), 15) as bigint)"


def build_cast_rows_query(table: Table, relation: str) -> str:
    """Returns a query of `relation` with exactly the table's lake columns and types."""
    columns = ", ".join(f"cast({column} as {kind}) as {column}" for column, kind in list_lake_columns(table).items())
    return f"select {columns} from {relation}"


def build_differences_query(table: Table, incoming: str, existing: str) -> str:
    """Returns a query of the keys whose row differs in `incoming` and `existing`: key, _row_hash, _previous_hash."""
    key = ", ".join(list_lake_key_columns(table))
    return f"""
        select {key}, incoming_rows._row_hash, existing_rows._row_hash as _previous_hash
        from (select {key}, {build_row_hash_sql(table)} as _row_hash
            from ({build_cast_rows_query(table, incoming)})) as incoming_rows
        full join (select {key}, _row_hash from {existing}) as existing_rows using ({key})
        where incoming_rows._row_hash is distinct from existing_rows._row_hash"""


def build_new_rows_query(table: Table, incoming: str) -> str:
    """Returns a query of the rows of `incoming` as rows that replace none."""
    return f"""
        select *, {build_row_hash_sql(table)} as _row_hash, null::bigint as _replaces, false as _deleted
        from ({build_cast_rows_query(table, incoming)})"""


def build_changed_rows_query(table: Table, incoming: str, *, has_removed: bool) -> str:
    """Returns a query of the rows to append: added and changed ones of `incoming`, deleted ones of `_present_rows`.

    Reads: relations `incoming`, `_row_changes` and `_present_rows`.
    """
    columns, key = ", ".join(list_lake_columns(table)), ", ".join(list_lake_key_columns(table))
    rows = f"""
        select {columns}, _row_changes._row_hash, _previous_hash as _replaces, false as _deleted
        from ({build_cast_rows_query(table, incoming)}) join _row_changes using ({key})
        where _row_changes._row_hash is not null"""
    if not has_removed:
        return rows
    # Filter by hash first: one number is faster than a key of several texts.
    return f"""{rows} union all
        select {columns}, _previous_hash, _previous_hash, true
        from (from _present_rows
            where _row_hash in (select _previous_hash from _row_changes where _row_hash is null)) as _deleted_rows
        join _row_changes using ({key}) where _row_changes._row_hash is null"""


def build_scan_query(files: LakeFiles, columns: dict[str, str]) -> str:
    """Returns a query of these columns of the files; without files a query of no rows."""
    if not files:
        return "select " + ", ".join(f"null::{kind} as {name}" for name, kind in columns.items()) + " where false"
    paths = _format_literals(file.path for file in files)
    rows = f"read_parquet([{paths}], union_by_name = true)"
    # Columns are only ever added, so whatever the oldest file has, all have.
    if not columns.keys() <= read_column_names(files.oldest_file.path):
        no_rows = ", ".join(f"null::{kind} as {name}" for name, kind in columns.items())
        rows = f"(select {no_rows} where false union all by name from {rows})"
    return f"select {', '.join(columns)} from {rows}"
