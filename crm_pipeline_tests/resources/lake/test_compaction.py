"""Compaction changes what a lake costs, never its rows."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings

from crm_pipeline.resources.lake.compaction import Compaction, delete_abandoned_spill, delete_retired_tables
from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.tables import LAKE_TABLES, RETIRED_LAKE_TABLES
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline_tests.fixtures.histories.lake_history import STEPS, a_lake, live_through, maintain, past
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.servers.lake_rows import TABLE, Row, a_row, put, read_present_rows, read_versions


def test_many_small_files_become_one_and_a_base(tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    for rows in range(6):
        put(lake, [a_row("links", "A", rows), a_row("links", "B")])
    before = read_versions(lake)
    assert maintain(lake) == Compaction(files_before=6, files=1, is_folded=True)
    assert (read_versions(lake), lake.base_version(TABLE)) == (before, 5)
    assert maintain(lake) == Compaction(files_before=1, files=1, is_folded=False)
    assert read_present_rows(lake) == [a_row("links", "A", 5), a_row("links", "B")]


def test_a_table_without_a_log_needs_no_compaction(tmp_path: Path) -> None:
    assert maintain(a_lake(tmp_path)) is None


def test_a_first_version_is_its_own_base(tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    put(lake, [a_row("links", "A")])
    assert maintain(lake) == Compaction(files_before=1, files=1, is_folded=False)


@settings(max_examples=200 if SOAK else 10, deadline=None)
@given(STEPS)
def test_whenever_it_happens_present_and_past_stay_the_same(steps: Sequence[str | dict[Row, int]]) -> None:
    with TemporaryDirectory() as folder:
        lake = a_lake(Path(folder))
        states: list[dict[Row, int]] = []
        for states in live_through(lake, steps):
            assert {row[:3]: row[4] for row in read_present_rows(lake)} == (states[-1] if states else {})
        for hours, state in enumerate(states):
            assert {row[:3]: row[3] for row in past(lake, hours)} == state


def test_compaction_and_an_append_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    put(lake, [a_row("links", "A")])

    def append(number: int) -> ChangeCounts:
        return put(lake, [a_row("mesa", str(number))], tenants=["mesa"], condition=f"table_name = '{number}'")

    with ThreadPoolExecutor(2) as threads:
        appending = threads.submit(lambda: [append(number) for number in range(12)])
        while not appending.done():
            maintain(lake)
        appending.result()
    assert len(read_present_rows(lake)) == len(read_versions(lake)) == 13


def test_what_a_killed_process_spilled_is_deleted_a_day_later(tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    for name, age in (("old", 25 * 3600), ("new", 0)):
        (lake.spill / name).mkdir(parents=True)
        os.utime(lake.spill / name, (time.time() - age, time.time() - age))
    delete_abandoned_spill(lake)
    assert [folder.name for folder in lake.spill.iterdir()] == ["new"]


def test_what_older_releases_stored_and_nothing_reads_is_deleted(tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    put(lake, [a_row("links", "A")])
    for name in RETIRED_LAKE_TABLES:
        for folder in (name, f"{name}_base"):
            (Path(lake.url) / folder / "_delta_log").mkdir(parents=True)
    delete_retired_tables(lake)
    assert [folder.name for folder in Path(lake.url).iterdir()] == [to_lake_name(TABLE)]
    assert not {to_lake_name(table) for table in LAKE_TABLES} & {*RETIRED_LAKE_TABLES}
