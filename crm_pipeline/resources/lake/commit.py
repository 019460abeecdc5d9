"""Commits to a Delta table: rows written as files in one transaction."""

from typing import Final, Literal

import pyarrow as pa
from deltalake import ColumnProperties, CommitProperties, WriterProperties, write_deltalake

TABLE_CONFIGURATION: Final = {"delta.dataSkippingStatsColumns": "_version,_known_at"}
"""Of no other column does the transaction log keep the least and the greatest value: emails and names have them too."""
_WITHOUT_DICTIONARY: Final = ColumnProperties(dictionary_enabled=False)
_UNIQUE_COLUMNS: Final = ("id", "_record_key", "_row_hash", "event_id", "service_record_id")
WRITER_PROPERTIES: Final = WriterProperties(
    compression="SNAPPY",
    max_row_group_size=122_880,
    column_properties=dict.fromkeys(_UNIQUE_COLUMNS, _WITHOUT_DICTIONARY),
)
"""Row groups of DuckDB's own measure: what one thread reads at a time, and a reader of few tenants can pass over.

A dictionary of values that do not repeat would be the column once more, and slower to write and to read. Compressed, a
timeline takes less than a quarter of the room, and no longer to write or to read; by default nothing is.
"""


def write_files(
    path: str,
    rows: pa.RecordBatchReader,
    mode: Literal["append", "overwrite"],
    *,
    schema_mode: Literal["merge", "overwrite"],
    target_file_size: int | None = None,
    note: dict[str, str] | None = None,
) -> None:
    """Write rows to the table at this path in one commit, which has `note` among its properties."""
    write_deltalake(
        path,
        rows,
        mode=mode,
        schema_mode=schema_mode,
        target_file_size=target_file_size,
        writer_properties=WRITER_PROPERTIES,
        configuration=TABLE_CONFIGURATION,
        commit_properties=CommitProperties(custom_metadata=note) if note else None,
    )
