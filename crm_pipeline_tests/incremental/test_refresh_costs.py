"""The share of changed rows above which a tenant gets a full refresh, learned from what refreshes took."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crm_pipeline.incremental.refresh_costs import (
    FIRST_GUESS,
    MAX_SHARE,
    MIN_SHARE,
    find_full_refresh_share,
    store_refresh_cost,
)
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.run_context import RunContext

ASSET = "timeline_events"
ROWS = 1_000_000


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunContext]:
    lake = Lake(str(tmp_path / "lake"), tmp_path / "spill")
    with closing(lake.connect()) as con:
        yield RunContext(con, lake, datetime(2026, 3, 24, tzinfo=UTC), "run", ["club-a", "club-b"])


def store_full(run: RunContext, seconds: float, tenants: Sequence[str] = ("club-a",), asset: str = ASSET) -> None:
    store_refresh_cost(replace(run, tenants=tenants), asset, ROWS, ROWS, seconds)


def store_incremental(run: RunContext, changed_rows: int, seconds: float) -> None:
    store_refresh_cost(replace(run, only_required=True), ASSET, ROWS, changed_rows, seconds)


def test_the_share_is_where_both_kinds_take_the_same_time(run: RunContext) -> None:
    store_full(run, seconds=30.0)  # 30 µs a row
    store_incremental(run, changed_rows=10_000, seconds=6.0)  # 600 µs a changed row
    assert find_full_refresh_share(run, ASSET) == pytest.approx(0.05)


def test_one_kind_alone_says_nothing(run: RunContext) -> None:
    assert find_full_refresh_share(run, ASSET) == FIRST_GUESS
    store_full(run, seconds=30.0)
    assert find_full_refresh_share(run, ASSET) == FIRST_GUESS


def test_an_asset_learns_nothing_from_others(run: RunContext) -> None:
    store_full(run, seconds=30.0, asset="profile_scores")
    store_incremental(run, changed_rows=10_000, seconds=6.0)
    assert find_full_refresh_share(run, ASSET) == FIRST_GUESS
    assert find_full_refresh_share(run, "profile_scores") == FIRST_GUESS


@pytest.mark.parametrize(("seconds", "share"), [(0.5, MIN_SHARE), (5_000.0, MAX_SHARE)])
def test_an_odd_hour_moves_the_share_four_times_at_most(run: RunContext, seconds: float, share: float) -> None:
    store_full(run, seconds=seconds)
    store_incremental(run, changed_rows=10_000, seconds=6.0)
    assert find_full_refresh_share(run, ASSET) == share


def test_of_a_batch_the_last_refresh_counts_and_of_several_the_median(run: RunContext) -> None:
    store_incremental(run, changed_rows=10_000, seconds=6.0)
    store_full(run, seconds=45.0)
    store_full(run, seconds=18.0)
    assert find_full_refresh_share(run, ASSET) == pytest.approx(0.03)
    store_full(run, seconds=24.0, tenants=["club-b"])
    store_full(run, seconds=40.0, tenants=["club-c"])
    assert find_full_refresh_share(run, ASSET) == pytest.approx(0.04)


def test_small_refreshes_are_not_stored(run: RunContext) -> None:
    store_full(run, seconds=30.0)
    store_incremental(run, changed_rows=4_000, seconds=6.0)
    store_refresh_cost(replace(run, only_required=True), ASSET, 90_000, 10_000, 6.0)
    assert find_full_refresh_share(run, ASSET) == FIRST_GUESS
