"""The seasonal clock: when a club has one, what its months are worth, and that plain days stay plain."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.domain.churn.seasonality import (
    MIN_MONTH_FACTOR,
    UNIFORM_MONTH_FACTORS,
    fit_seasonal_clock,
    to_clock_days,
)

APRIL = np.datetime64("2025-04", "M")
DAYS = st.dates(date(1999, 1, 1), date(2027, 12, 31))


def elapsed(factors: tuple[float, ...], first: str, last: str) -> float:
    begins, ends = (np.array([day], dtype="M8[D]") for day in (first, last))
    before, after = to_clock_days(np.array([factors]), np.array([0]), begins, ends)
    return float(after[0] - before[0])


def test_a_club_that_is_equally_busy_all_year_has_plain_days() -> None:
    a_day = [30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 28, 31]
    assert fit_seasonal_clock(APRIL, a_day) == pytest.approx(UNIFORM_MONTH_FACTORS)


@pytest.mark.parametrize("rounds", [[100] * 11, [16] * 12, []])
def test_below_twelve_full_months_or_two_hundred_rounds_there_is_none(rounds: list[int]) -> None:
    assert fit_seasonal_clock(APRIL, rounds) is None


def test_two_hundred_rounds_in_twelve_months_are_enough() -> None:
    assert fit_seasonal_clock(APRIL, [17] * 11 + [13]) is not None


def test_a_closed_winter_is_slow_but_never_stands_still() -> None:
    clock = fit_seasonal_clock(APRIL, [90] * 7 + [0] * 5)
    assert clock is not None
    january, july = clock[0], clock[6]
    assert january == MIN_MONTH_FACTOR
    assert july > 1.5
    assert elapsed(clock, "2025-12-01", "2026-02-01") == pytest.approx(MIN_MONTH_FACTOR * 62)


def test_what_a_day_of_a_month_is_worth_is_smoothed_over_its_neighbours() -> None:
    rounds = np.array([30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 28, 31]) * np.array([10, 30, *[10] * 10])
    clock = fit_seasonal_clock(APRIL, rounds)
    assert clock is not None
    mean = (10 * 11 + 30) / 12
    april, may, june, july = (clock[month - 1] * mean for month in (4, 5, 6, 7))
    assert (april, may, june, july) == pytest.approx((15, 20, 15, 10))


def test_only_whole_years_count_so_that_growth_is_no_season() -> None:
    year = [100, 200, 300, 400, 400, 300, 300, 200, 100, 100, 100, 100]
    odd = fit_seasonal_clock(APRIL - 5, [7, 7, 7, 7, 7, *year])
    assert odd == fit_seasonal_clock(APRIL, year)


@settings(deadline=None)
@given(DAYS, DAYS)
def test_plain_days_are_exactly_calendar_days(first: date, last: date) -> None:
    assert elapsed(UNIFORM_MONTH_FACTORS, first.isoformat(), last.isoformat()) == (last - first).days


@settings(deadline=None)
@given(st.lists(st.floats(MIN_MONTH_FACTOR, 4.0), min_size=12, max_size=12), DAYS, st.integers(0, 900))
def test_every_day_is_worth_its_months_factor(factors: list[float], first: date, days: int) -> None:
    counted = sum(factors[(first + timedelta(day)).month - 1] for day in range(days))
    last = first + timedelta(days)
    assert elapsed(tuple(factors), first.isoformat(), last.isoformat()) == pytest.approx(counted, abs=1e-6)


def test_leap_days_count_as_days_of_february() -> None:
    february_alone = (0.1, 2.0, *[0.1] * 10)
    assert elapsed(february_alone, "2024-02-01", "2024-03-01") == pytest.approx(58)
    assert elapsed(february_alone, "2025-02-01", "2025-03-01") == pytest.approx(56)


def test_each_club_reads_its_own_clock() -> None:
    factors = np.array([UNIFORM_MONTH_FACTORS, [0.5] * 12])
    days = np.array(["2026-01-01"] * 3, dtype="M8[D]")
    before, after = to_clock_days(factors, np.array([1, 0, 1]), days, days + 10)
    assert (after - before).tolist() == [5.0, 10.0, 5.0]


def test_nobody_reads_nothing() -> None:
    none = np.zeros(0, dtype="M8[D]")
    assert [
        reading.shape for reading in to_clock_days(np.array([UNIFORM_MONTH_FACTORS]), np.zeros(0, np.intp), none)
    ] == [(0,)]
