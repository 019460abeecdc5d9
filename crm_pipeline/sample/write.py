"""The files of a sample: one CSV per source table, and the truth beside them.

What is written comes from the other modules; the headers come from `crm_pipeline.tables`.
"""

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv
from sqlalchemy import Table

from crm_pipeline.sample.chance import Flags, Ints
from crm_pipeline.sample.rows import Columns, Events, as_file_rows
from crm_pipeline.tables import source_tables
from crm_pipeline.tables.columns import service_of
from crm_pipeline.vocabulary import Service

_FIRST_ID: Final = 1_001
_TRUTH: Final = ("service", "record_id", "person_id")
_OPTIONS: Final = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")


class SampleFiles:
    """All files of a sample, open for appending; also counts what was written."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._files: dict[str, pa.NativeFile] = {}
        self._numbered: Counter[str] = Counter()
        self.events = 0

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            for service in Service:
                for table in source_tables(service):
                    self._open(opened, table.name, file_of(self._out, table), (column.name for column in table.c))
            self._open(opened, "truth", self._out / "truth.csv", _TRUTH)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._opened.__exit__(kind, error, at)

    def _open(self, opened: ExitStack, name: str, path: Path, header: Iterable[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files[name] = opened.enter_context(pa.OSFile(str(path), "wb"))
        self._files[name].write(f"{','.join(header)}\n".encode())

    def new_ids(self, table: Table, count: int) -> Ints:
        """The next `count` record numbers of a table."""
        start = _FIRST_ID + self._numbered[table.name]
        self._numbered[table.name] += count
        return np.arange(start, start + count, dtype=np.int64)

    def write(self, table: Table, columns: Columns) -> None:
        """Append rows with the ids given."""
        self._append(table.name, as_file_rows(table, columns))

    def write_events(self, events: Events, tenant: str, keep: Flags) -> None:
        """Append the events of the people kept, numbered unless their ids are given."""
        columns = {**events.columns, "tenant_id": tenant}
        if "id" not in columns:
            columns["id"] = self.new_ids(events.table, len(events.person))
        kept = keep[events.person]
        self._append(events.table.name, as_file_rows(events.table, columns).filter(pa.array(kept)))
        self.events += int(kept.sum())

    def write_truth(self, service: Service, record_ids: pa.Array, person_ids: pa.Array) -> None:
        """Append who the records of a service are."""
        service_name = pa.repeat(pa.scalar(service.value), len(record_ids))
        self._append("truth", pa.table([service_name, record_ids, person_ids], names=_TRUTH))

    def _append(self, name: str, rows: pa.Table) -> None:
        pyarrow.csv.write_csv(rows, self._files[name], _OPTIONS)


def file_of(out: Path, table: Table) -> Path:
    """Where the rows of a source table lie in a folder of snapshots."""
    return out / service_of(table).lower() / f"{table.name}.csv"
