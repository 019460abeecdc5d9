"""The contacts of Messaging as files: what the tests of folders share."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crm_pipeline.domain.ingest.row_validation import read_rows
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.tables.sources import messaging
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.domain.delivered import a_connection

TABLE = messaging.contact
NAMES = [column.name for column in TABLE.columns]
HEADER = ",".join(NAMES)
ADA = {
    "id": "7",
    "tenantId": "links",
    "email": None,
    "phoneNumber": "+44 7911 100100",
    "firstName": 'Ada "Ace"',
    "lastName": "Ærø,\nBülow",
    "emailOptIn": True,
    "smsOptIn": False,
    "pushOptIn": True,
    "whatsappOptIn": False,
    "createdAt": "2025-01-01T00:00:00Z",
    "updatedAt": "2026-03-29T01:30:00.123456Z",
}
BOB = ADA | {"id": "2024-01-01", "email": "bob@club.example", "firstName": "Bob", "lastName": None}
SECRET = "secret"
Write = Callable[[Path, list[dict[str, Any]]], object]


def as_csv(folder: Path, rows: list[dict[str, Any]]) -> None:
    texts = pd.DataFrame(rows, columns=NAMES).replace({True: "true", False: "false"})
    texts.to_csv(folder / "Contact.csv", index=False)


def as_jsonl(folder: Path, rows: list[dict[str, Any]]) -> None:
    lines = [json.dumps({name: row.get(name) for name in NAMES}, ensure_ascii=False) for row in rows]
    (folder / "Contact.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def as_parquet(folder: Path, rows: list[dict[str, Any]]) -> None:
    typed = pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in NAMES if "Opt" not in name]))
    for name in [name for name in NAMES if "Opt" in name]:
        typed = typed.append_column(name, pa.array([row[name] for row in rows], pa.bool_()))
    for name in ("createdAt", "updatedAt"):
        times = pa.array(pd.to_datetime([row[name] for row in rows], format="ISO8601"), pa.timestamp("us", tz="UTC"))
        typed = typed.set_column(typed.column_names.index(name), name, times)
    pq.write_table(typed, folder / "Contact.parquet")


def contacts(url: str | Path) -> list[tuple[Any, ...]]:
    """The contacts of a source, as the domain reads them."""
    with closing(a_connection()) as con:
        raw = snapshot(con, str(url))
        read_rows(con, TABLE, raw, "read")
        return con.sql("select * from read order by _record_key").fetchall()


def snapshot(con: duckdb.DuckDBPyConnection, url: str) -> str:
    return Sources({Service.MESSAGING: url}).snapshot(con, Service.MESSAGING, only=TABLE).tables[TABLE.name].rows


def refused(url: str | Path) -> str:
    """What is said about a source that cannot be read: always one line."""
    with closing(a_connection()) as con, pytest.raises(SourceError) as error:
        snapshot(con, str(url))
    assert "\n" not in str(error.value)
    assert SECRET not in str(error.value)
    return str(error.value)


def csv_of(folder: Path, *lines: str, header: str = HEADER) -> Path:
    (folder / "Contact.csv").write_text("\n".join([header, *lines, ""]), encoding="utf-8", newline="")
    return folder


def a_line(**values: str) -> str:
    texts = {"id": "7", "tenantId": "links"} | dict.fromkeys([name for name in NAMES if "Opt" in name], "true")
    texts |= dict.fromkeys(["createdAt", "updatedAt"], "2025-01-01T00:00:00Z")
    return ",".join((texts | values).get(name, "") for name in NAMES)
