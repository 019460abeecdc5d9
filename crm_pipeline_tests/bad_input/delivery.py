"""The corpus as four services deliver it: SCL in JSON lines, TeeTime and the CRM in CSV, Messaging in Parquet."""

import csv
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Table

from crm_pipeline.tables import source_tables
from crm_pipeline.tables.projections import arrow_type
from crm_pipeline.vocabulary import Service

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Rows = Sequence[dict[str, Any]]


def write(folder: Path, rows: Mapping[Table, Rows]) -> Path:
    """Write all tables, those without rows too."""
    for service in Service:
        (folder / service.lower()).mkdir(parents=True)
        for table in source_tables(service):
            file = folder / service.lower() / table.name
            WRITERS.get(service, as_csv)(file, table, rows.get(table, []))
    return folder


def as_csv(file: Path, table: Table, rows: Rows) -> None:
    with file.with_suffix(".csv").open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, [column.name for column in table.columns])
        writer.writeheader()
        writer.writerows(rows)


def as_json(file: Path, _table: Table, rows: Rows) -> None:
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    file.with_suffix(".jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def as_parquet(file: Path, table: Table, rows: Rows) -> None:
    arrays = {
        column.name: pa.array([_stored(row[column.name], arrow_type(column)) for row in rows], arrow_type(column))
        for column in table.columns
    }
    pq.write_table(pa.table(arrays), file.with_suffix(".parquet"))


def _stored(value: object, kind: pa.DataType) -> object:
    """Times as microseconds, since Python's own end with the year 9999."""
    if pa.types.is_timestamp(kind) and isinstance(value, str):
        return (datetime.fromisoformat(value) - EPOCH) // timedelta(microseconds=1)
    return value


WRITERS = {Service.SCL: as_json, Service.MESSAGING: as_parquet}
