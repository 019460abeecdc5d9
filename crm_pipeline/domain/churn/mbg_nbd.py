"""The MBG/NBD model of visits: its parameters, the chance of being alive, churn within a horizon, expected visits.

The model is Batislam, Denizel and Filiztekin's (2007, "Empirical validation and comparison of models for customer base
analysis", IJRM 24): visits come at a rate drawn from Gamma(r, alpha), and after each one, the first included, a visitor
drops out with a probability drawn from Beta(a, b). A visitor is three numbers: the frequency x >= 0, how many visits
followed the first; the recency t_x, from the first visit to the last; the age T, from the first visit to now. Times are
in one unit, days unless a fit says otherwise, and are clipped to 0 <= t_x <= T. NaN gives NaN.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, hyp2f1

Floats = npt.NDArray[np.float64]

HORIZON_DAYS: Final = 365.0
SINGULARITY_SHIFT: Final = 1e-6


class MbgNbdArrays(NamedTuple):
    """Parameters (n,), one set per visitor."""

    r: Floats
    alpha: Floats
    a: Floats
    b: Floats


class MbgNbd(NamedTuple):
    """Parameters, all positive, alpha in the unit of the times; log likelihood of the visits they were fitted to."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float = np.nan


MbgNbdParameters = MbgNbd | MbgNbdArrays
"""The four parameters: one set for all visitors, or one set per visitor, that of the visitor's club."""
PRIOR: Final = MbgNbd(r=1.0, alpha=80.0, a=0.6, b=1.3)


def clip_visits(frequency: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Returns frequency, recency and age as floats of one shape, the times clipped to 0 <= recency <= age."""
    age = np.maximum(np.asarray(age, dtype=np.float64), 0.0)
    recency = np.clip(np.asarray(recency, dtype=np.float64), 0.0, age)
    x, recency, age = np.broadcast_arrays(np.asarray(frequency, dtype=np.float64), recency, age)
    return x, recency, age


def compute_dropout_log_odds(params: MbgNbdParameters, x: Floats, recency: Floats, age: Floats) -> Floats:
    """Returns the log odds (n,) of having dropped out at the last visit.

    The formula is (r+x) ln((alpha+T) / (alpha+t_x)) + ln a - ln(b+x).
    """
    silence = np.log1p((age - recency) / (params.alpha + recency))
    return np.asarray((params.r + x) * silence + np.log(params.a) - np.log(params.b + x))


def predict_horizon_churn(
    params: MbgNbdParameters,
    frequency: npt.ArrayLike,
    recency: npt.ArrayLike,
    age: npt.ArrayLike,
    horizon: float | Floats = HORIZON_DAYS,
) -> Floats:
    """Returns the probability (n,) of no visit within `horizon` from now.

    The formula is 1 - P(alive) * (1 - ((alpha+T) / (alpha+T+H))^(r+x)) of docs/numbers.md. It is summed from the two
    ways to have no visit, dropped out or alive and quiet, so that no difference of nearly equal numbers is taken.
    """
    x, recency, age = clip_visits(frequency, recency, age)
    log_odds = compute_dropout_log_odds(params, x, recency, age)
    quiet = np.exp(-(params.r + x) * np.log1p(horizon / (params.alpha + age)))
    return np.asarray(expit(log_odds) + expit(-log_odds) * quiet)


def predict_transactions(
    params: MbgNbdParameters,
    frequency: npt.ArrayLike,
    recency: npt.ArrayLike,
    age: npt.ArrayLike,
    horizon: float | Floats = HORIZON_DAYS,
) -> Floats:
    """Returns the expected visits (n,) within `horizon` from now: Batislam et al.'s (2007) conditional expectation.

    Their 2F1(r+x, b+x+1; a+b+x; z) with z = H / (alpha+T+H) overflows for a few hundred visits. It is computed through
    Euler's transformation, (1-z)^(a-r-x-1) 2F1(a+b-r, a-1; a+b+x; z), whose power joins the one before it.
    """
    x, recency, age = clip_visits(frequency, recency, age)
    a = _shift_singular_parameter(params)
    total = a + params.b + x
    relative_horizon = horizon / (params.alpha + age)
    series = hyp2f1(a + params.b - params.r, a - 1.0, total, relative_horizon / (1.0 + relative_horizon))
    if_alive = total / (a - 1.0) * (1.0 - np.exp((1.0 - a) * np.log1p(relative_horizon)) * series)
    return np.asarray(expit(-compute_dropout_log_odds(params, x, recency, age)) * if_alive)


def _shift_singular_parameter(params: MbgNbdParameters) -> Floats:
    """Returns the a for expected visits, shifted where the formula is singular.

    At a = 1 it is 0/0; scipy's 2F1 overflows where a - r is a whole number.
    """
    a = np.asarray(params.a, dtype=np.float64)
    difference = a - params.r
    is_singular = np.minimum(np.abs(a - 1.0), np.abs(difference - np.round(difference))) < SINGULARITY_SHIFT / 2.0
    return np.asarray(np.where(is_singular, a + SINGULARITY_SHIFT, a))
