"""The bands of `crm_pipeline.checks.anomalies`, computed by hand."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from crm_pipeline.checks.anomalies import find_bands
from crm_pipeline.domain.as_of import define_as_of
from crm_pipeline_tests.fixtures.servers.warehouses import a_connection

AS_OF = datetime(2026, 3, 31, 12, tzinfo=UTC)
Band = tuple[int, float | None, float | None, bool]


def band(past: Sequence[float], value: float, *, kind: str = "rows", unit: float = 1.0, first: int = 1) -> Band:
    """Returns the days of the past, low, high and whether the value is usual; the past ends `first` days ago."""
    con = a_connection()
    define_as_of(con, AS_OF)
    con.execute("create table history (tenant_id varchar, measured_on date, measure varchar, value double)")
    for days, measured in enumerate(past, start=first):
        con.execute("insert into history values ('t', ?, 'm', ?)", [date(2026, 3, 31) - timedelta(days=days), measured])
    query = (
        "create table measured as select 't' as tenant_id, 'm' as measure, $1 as kind, $2::double as value, $3 as unit"
    )
    con.execute(query, [kind, value, unit])
    find_bands(con)
    ((days_known, low, high, usual),) = con.sql(
        "select days, round(low, 3), round(high, 3), is_usual from bands"
    ).fetchall()
    return days_known, low, high, usual


def test_a_band_is_the_median_give_or_take_three_and_a_half_scaled_deviations() -> None:
    # median 1,000; deviations 0 40 40 80 80 120 120, their median 80; 3.5 x 1.4826 x 80 = 415.128
    past = [1000, 960, 1040, 920, 1080, 880, 1120]
    assert band(past, 1400) == (7, 584.872, 1415.128, True)
    assert band(past, 1416)[-1] is False
    assert band(past, 584)[-1] is False


def test_one_odd_day_does_not_widen_it() -> None:
    assert band([1000] * 9 + [50_000], 1050) == (10, 900, 1100, True)


def test_a_large_club_may_move_by_a_tenth_and_a_small_one_by_three_rows() -> None:
    assert band([1000] * 7, 1101) == (7, 900, 1100, False)
    assert band([12] * 7, 15) == (7, 9, 15, True)
    assert band([12] * 7, 16)[-1] is False


def test_a_share_may_move_by_five_points_or_by_three_people() -> None:
    assert band([0.4] * 7, 0.46, kind="share", unit=1 / 1000) == (7, 0.35, 0.45, False)
    assert band([0.4] * 7, 0.54, kind="share", unit=1 / 20) == (7, 0.25, 0.55, True)


def test_a_service_may_be_quiet_for_three_days_longer_and_never_too_fresh() -> None:
    assert band([5] * 7, 8, kind="days") == (7, 2, 8, True)
    assert band([5] * 7, 9, kind="days")[-1] is False
    assert band([5] * 7, 0, kind="days")[-1] is True


@pytest.mark.parametrize("days", [0, 6])
def test_it_is_silent_until_seven_days_are_known(days: int) -> None:
    assert band([10] * days, 1_000_000)[-1] is True


def test_it_looks_at_the_last_28_days_and_not_at_today() -> None:
    assert band([1] * 40, 1)[0] == 28
    assert band([1] * 7, 1, first=0)[0] == 6


def test_steady_growth_is_usual() -> None:
    """A club that gains a hundred rows a day, on the 29th."""
    assert band([10_000 - 100 * day for day in range(1, 29)], 10_000)[-1] is True
