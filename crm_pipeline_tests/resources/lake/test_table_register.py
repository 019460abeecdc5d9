"""A lake that lost a table, a file or some commits is refused before anything is read from it."""

import json
import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crm_pipeline.resources.lake.files import DamagedLakeError
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.table_register import register_tables, require_registered_tables
from crm_pipeline.tables.outputs import identity, privacy

TOTALS = "select 'heather' as tenant_id, 2025 as year, 'EUR' as currency, {} as amount_cents"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A registered lake of one table with two commits."""
    new_lake = Lake(str(tmp_path / "lake"), tmp_path / "spill")
    for cents in (100, 200):
        write_totals(new_lake, cents)
    register_tables(new_lake)
    return new_lake


def write_totals(lake: Lake, cents: int) -> None:
    with closing(lake.connect()) as con:
        con.execute(f"create table totals as {TOTALS.format(cents)}")
        lake.replace(con, privacy.forgotten_totals, "totals", tenants=["heather"], known_at=datetime.now(UTC))


def list_files(lake: Lake, pattern: str) -> list[Path]:
    return sorted(Path(lake.path(privacy.forgotten_totals)).glob(pattern))


def test_a_sound_lake_and_a_new_one_are_taken(lake: Lake, tmp_path: Path) -> None:
    require_registered_tables(lake)
    write_totals(lake, 300)
    require_registered_tables(lake)
    require_registered_tables(Lake(str(tmp_path / "other"), tmp_path / "spill"))


def test_a_lake_that_lost_a_table_is_refused(lake: Lake) -> None:
    shutil.rmtree(lake.path(privacy.forgotten_totals))
    with pytest.raises(DamagedLakeError, match="table forgotten_totals of the lake is gone, and the others are not"):
        require_registered_tables(lake)


def test_an_older_copy_of_a_table_is_refused(lake: Lake) -> None:
    list_files(lake, "_delta_log/*.json")[-1].unlink()
    with pytest.raises(DamagedLakeError, match="table forgotten_totals of the lake is an older copy"):
        require_registered_tables(lake)


def test_a_table_made_anew_is_no_stand_in_for_the_lost_one(lake: Lake) -> None:
    shutil.rmtree(lake.path(privacy.forgotten_totals))
    write_totals(lake, 100)
    with pytest.raises(DamagedLakeError, match="is an older copy"):
        require_registered_tables(lake)


@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_a_table_without_one_of_its_files_is_refused(lake: Lake, harm: str) -> None:
    file = list_files(lake, "*.parquet")[0]
    file.unlink() if harm == "gone" else file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DamagedLakeError, match="a file of table forgotten_totals of the lake is gone or cut"):
        require_registered_tables(lake)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"forgotten_totals": "x"}', "null"])
def test_a_damaged_register_is_written_anew_and_stops_nobody(lake: Lake, content: str) -> None:
    register = Path(lake.url) / "tables.json"
    register.write_text(content)
    require_registered_tables(lake)
    register_tables(lake)
    assert json.loads(register.read_text()) == {"forgotten_totals": 1}


def test_the_register_names_tables_that_are_there_alone(lake: Lake) -> None:
    assert identity.profile_ids.name not in json.loads((Path(lake.url) / "tables.json").read_text())
