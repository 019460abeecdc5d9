"""The predictions of MBG/NBD for a visitor, against mpmath at 50 digits and over their whole range."""

from typing import Any, Final, NamedTuple

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.domain.churn.mbg_nbd import (
    HORIZON_DAYS,
    PRIOR,
    MbgNbd,
    predict_horizon_churn,
    predict_transactions,
)
from crm_pipeline_tests.fixtures.homes.soak import SOAK

GRID_SIZE: Final = 20_000 if SOAK else 300
EXAMPLES: Final = 10_000 if SOAK else 100
DIGITS: Final = 50


class Visitor(NamedTuple):
    frequency: float
    recency: float
    age: float


# Halves and wholes among the shapes are where gamma functions have their poles.
SHAPES = st.floats(0.05, 20.0) | st.integers(1, 40).map(lambda halves: halves / 2.0)
PARAMS = st.builds(MbgNbd, r=SHAPES, alpha=st.floats(1.0, 1000.0), a=SHAPES, b=SHAPES)
VISITORS = st.builds(
    Visitor, frequency=st.integers(0, 400), recency=st.floats(-10.0, 4000.0), age=st.floats(-10.0, 3650.0)
)


def grid() -> list[tuple[MbgNbd, Visitor]]:
    """Returns cases drawn evenly on logarithmic scales, with the corners of no repeat and no time drawn too."""
    rng = np.random.default_rng(20_260_331)
    low, high = np.log([0.05, 1.0, 0.05, 0.05]), np.log([20.0, 1000.0, 20.0, 20.0])
    cases = []
    for _ in range(GRID_SIZE):
        age = float(rng.choice([0.0, rng.uniform(0.0, 3650.0), 3650.0], p=[0.1, 0.8, 0.1]))
        frequency = float(np.floor(np.exp(rng.uniform(0.0, np.log(401.5))) - 1.0))
        recency = age * float(rng.choice([rng.uniform(), 1.0])) if frequency else 0.0
        cases.append((MbgNbd(*np.exp(rng.uniform(low, high)).tolist()), Visitor(frequency, recency, age)))
    return cases


def published(params: MbgNbd, visitor: Visitor) -> tuple[Any, Any]:
    """Returns churn by scores.md and Batislam et al.'s expectation, as printed, at 50 digits."""
    r, alpha, a, b, x, recency, age = (mpmath.mpf(number) for number in (*params[:4], *visitor))
    alive = 1 / (1 + a / (b + x) * ((alpha + age) / (alpha + recency)) ** (r + x))
    quiet = ((alpha + age) / (alpha + age + HORIZON_DAYS)) ** (r + x)
    series = mpmath.hyp2f1(r + x, b + x + 1, a + b + x, HORIZON_DAYS / (alpha + age + HORIZON_DAYS))
    return 1 - alive * (1 - quiet), alive * (a + b + x) / (a - 1) * (1 - quiet * series)


def test_both_agree_with_fifty_digits() -> None:
    cases = grid()
    with mpmath.workdps(DIGITS):
        expected = np.array([[float(value) for value in published(*case)] for case in cases])
    churn = [float(predict_horizon_churn(params, *visitor)) for params, visitor in cases]
    visits = [float(predict_transactions(params, *visitor)) for params, visitor in cases]
    np.testing.assert_allclose(churn, expected[:, 0], rtol=1e-10)
    np.testing.assert_allclose(visits, expected[:, 1], rtol=1e-9, atol=1e-300)


@settings(max_examples=EXAMPLES, deadline=None)
@given(PARAMS, VISITORS, st.floats(1.0, 3650.0))
def test_nothing_overflows_and_bounds_hold(params: MbgNbd, visitor: Visitor, horizon: float) -> None:
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        churn = predict_horizon_churn(params, *visitor, horizon=horizon)
        visits = predict_transactions(params, *visitor, horizon=horizon)
        dropped_out = predict_horizon_churn(params, *visitor, horizon=np.inf)
    assert 0.0 <= dropped_out <= churn + 1e-12
    assert churn <= 1.0 + 1e-12
    # Someone who comes is expected at least once then: P(at least one) <= E.
    assert np.isfinite(visits)
    assert 1.0 - churn <= visits + 1e-9


@settings(max_examples=EXAMPLES, deadline=None)
@given(PARAMS, VISITORS)
def test_a_longer_horizon_leaves_less_churn_and_more_visits(params: MbgNbd, visitor: Visitor) -> None:
    assert (
        predict_horizon_churn(params, *visitor, horizon=200.0)
        <= predict_horizon_churn(params, *visitor, horizon=100.0) + 1e-12
    )
    fewer, more = (float(predict_transactions(params, *visitor, horizon=days)) for days in (100.0, 200.0))
    assert fewer <= more + 1e-7


@pytest.mark.parametrize("frequency", [0, 5, 98, 400])
@pytest.mark.parametrize("a", [0.5, 1.0, 1.0 + 1e-9, 1.0 - 1e-12, 1.5, 4.5])
def test_expectation_is_smooth_at_its_poles(a: float, frequency: int) -> None:
    """At a = 1 the formula divides by nothing, and where a - r is whole, for r = 0.5 here, scipy overflows."""
    params = MbgNbd(r=0.5, alpha=2.0, a=a, b=1.0)
    around = [predict_transactions(params._replace(a=near), frequency, 0, 0) for near in (a - 1e-3, a + 1e-3)]
    assert predict_transactions(params, frequency, 0, 0) == pytest.approx(np.mean(around), rel=1e-4)


def test_times_are_clipped_to_what_is_possible() -> None:
    assert predict_horizon_churn(PRIOR, 3, 120, 100) == predict_horizon_churn(PRIOR, 3, 100, 100)
    assert predict_horizon_churn(PRIOR, 0, -5, -1) == predict_horizon_churn(PRIOR, 0, 0, 0)


def test_shapes_are_kept_and_nothing_known_gives_nothing() -> None:
    known: npt.NDArray[np.float64] = predict_horizon_churn(PRIOR, [0, np.nan, 5], [0, 0, 300], [0, 10, 330])
    assert np.isnan(known).tolist() == [False, True, False]
    assert predict_horizon_churn(PRIOR, [], [], []).shape == predict_transactions(PRIOR, [], [], []).shape == (0,)


def test_one_visit_is_no_proof_of_life() -> None:
    """BG/NBD gives every one-time buyer P(alive) = 1, and so ranks them above those who came back."""

    def predict_dropout(age: float) -> float:
        return float(predict_horizon_churn(PRIOR, 0, 0, age, horizon=np.inf))

    assert predict_dropout(0) == pytest.approx(1.0 - 1.3 / 1.9)
    assert predict_dropout(700) > predict_dropout(70)
