"""A small file that unpacks to more than memory and spill hold fails its own service, not the step of the others."""

from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.sources.delivery import SourceError
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.extract import extract_service
from crm_pipeline.tables import list_source_tables
from crm_pipeline.tables.sources import messaging
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.servers.lake_rows import HOUR

ROWS = 12_000


def write_parquet(folder: Path) -> None:
    """Writes ROWS contacts, alike but for their ids, and no events."""
    for table in list_source_tables(Service.MESSAGING):
        rows = ROWS if table is messaging.contact else 0
        values = {column.name: pa.array(["x" * 250] * rows, pa.string()) for column in table.columns}
        values["id"] = pa.array([str(number) for number in range(rows)], pa.string())
        pq.write_table(pa.table(values), folder / f"{table.name}.parquet", compression="zstd")


def test_a_table_too_big_for_memory_is_an_error_of_its_service_that_leaves_nothing_behind(tmp_path: Path) -> None:
    write_parquet(tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 100_000
    lake, sources = (
        Lake(str(tmp_path / "lake"), tmp_path / "spill", memory="25MB"),
        Sources({Service.MESSAGING: str(tmp_path)}),
    )
    with closing(lake.connect()) as con:
        with pytest.raises(SourceError, match="MESSAGING: CRM_PIPELINE_MEMORY is too little for the tables"):
            extract_service(RunContext(con, lake, HOUR, "run", None), sources, Service.MESSAGING)
        left = {name for (name,) in con.execute("show tables").fetchall()}
        assert not {name for name in left if name.startswith(("raw_", "incoming_", "keys_"))}
    assert lake.version(messaging.contact) == -1


def test_a_connection_spills_a_multiple_of_its_memory(tmp_path: Path) -> None:
    with closing(Lake(str(tmp_path / "lake"), tmp_path / "spill", memory="1.5GiB").connect()) as con:
        assert con.execute("select current_setting('max_temp_directory_size')").fetchall() == [("30.0 GiB",)]
