"""Versions that no hour in question needs are deleted; those that one needs stay, and so do the present rows."""

from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy.lake_erasure import delete_old_versions
from crm_pipeline_tests.fixtures.histories.lake_history import STEPS, a_lake, live_through, past
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.servers.lake_rows import HOUR, TABLE, Row, a_row, put, read_present_rows, read_versions


def drop(lake: Lake, hours: float) -> int:
    with closing(lake.connect()) as con:
        return delete_old_versions(con, lake, TABLE, HOUR + timedelta(hours=hours))


def history(lake: Lake, *states: Sequence[str]) -> None:
    """Stores one club's rows hour by hour; `A2` is row A with another value."""
    for hour, state in enumerate(states):
        rows = [a_row("links", name[0], int(name[1:] or 1)) for name in state]
        put(lake, rows, at=HOUR + timedelta(hours=hour))


def test_rows_removed_long_ago_are_deleted_with_every_version(tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    history(lake, ["A", "B", "C"], ["B"], ["B", "C"], ["B", "C2"])
    assert drop(lake, 1.5) == 4
    assert {name for name, *_ in read_versions(lake)} == {"B", "C"}
    assert read_present_rows(lake) == [a_row("links", "B"), a_row("links", "C", 2)]


def test_versions_replaced_long_ago_are_deleted_where_they_are_many(tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    history(lake, ["A", *"BCDEFGHIJKL"], ["A2", *"BCDEFGHIJKL"], ["A3", *"BCDEFGHIJKL"])
    assert drop(lake, 1.5) == 0
    history(lake, *(["A", *"BCDEFGHIJKL"], ["A2", *"BCDEFGHIJKL"]) * 2)
    assert drop(lake, 99) == 6
    assert len(read_versions(lake)) == 12


def test_the_newest_version_of_a_club_stays_since_published_states_refer_to_it(tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    history(lake, ["A", "C"], ["C"])
    newest = lake.version(TABLE)
    assert drop(lake, 99) == 1
    assert lake.version(TABLE) == newest


@settings(max_examples=200 if SOAK else 15, deadline=None)
@given(STEPS, st.integers(0, 8))
def test_every_hour_from_then_on_and_the_present_stay_the_same(
    steps: Sequence[str | dict[Row, int]], since: int
) -> None:
    with TemporaryDirectory() as folder:
        lake = a_lake(Path(folder))
        *_, states = [], *live_through(lake, steps)
        drop(lake, since)
        assert {row[:3]: row[4] for row in read_present_rows(lake)} == (states[-1] if states else {})
        for hours, state in list(enumerate(states))[since:]:
            assert {row[:3]: row[3] for row in past(lake, hours)} == state
