"""Commits to a Delta table: rows written as files in one transaction."""

from typing import Final, Literal

import pyarrow as pa
from deltalake import ColumnProperties, CommitProperties, WriterProperties, write_deltalake

TABLE_CONFIGURATION: Final = {"delta.dataSkippingStatsColumns": "_version,_known_at"}
"""The transaction log stores minimum and maximum of these columns only, so that it holds no emails or names."""
_WITHOUT_DICTIONARY: Final = ColumnProperties(dictionary_enabled=False)
_UNIQUE_COLUMNS: Final = ("id", "_record_key", "_row_hash", "event_id", "service_record_id")
WRITER_PROPERTIES: Final = WriterProperties(
    compression="SNAPPY",
    max_row_group_size=122_880,
    column_properties=dict.fromkeys(_UNIQUE_COLUMNS, _WITHOUT_DICTIONARY),
)
"""Row groups have DuckDB's own size: one thread reads one at a time, and a reader of few tenants can skip it.

A dictionary of unique values would store the column twice and be slower to write and to read. Compressed, a timeline
takes less than a quarter of the space and no longer to write or to read; the default is no compression.
"""


def write_files(
    path: str,
    rows: pa.RecordBatchReader,
    mode: Literal["append", "overwrite"],
    *,
    schema_mode: Literal["merge", "overwrite"],
    target_file_size: int | None = None,
    commit_metadata: dict[str, str] | None = None,
) -> None:
    """Creates one commit with these rows in the table at `path`; `commit_metadata` is stored in its properties."""
    write_deltalake(
        path,
        rows,
        mode=mode,
        schema_mode=schema_mode,
        target_file_size=target_file_size,
        writer_properties=WRITER_PROPERTIES,
        configuration=TABLE_CONFIGURATION,
        commit_properties=CommitProperties(custom_metadata=commit_metadata) if commit_metadata else None,
    )
