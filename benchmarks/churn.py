"""The churn model next to the package lifetimes: `python -m benchmarks.churn`. Seconds, the best of several runs.

Both fit the same visitors; a fit that is faster and less likely is no better, so their likelihoods must be equal.
"""

import math
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from lifetimes import ModifiedBetaGeoFitter
from rich.console import Console
from rich.table import Table

from benchmarks.results import AT_LEAST, Row, keep
from crm_pipeline.domain.churn.mbg_nbd import (
    PRIOR,
    predict_horizon_churn,
    predict_transactions,
)
from crm_pipeline.domain.churn.mbg_nbd_fit import build_weighted_visitors, compute_log_likelihood, fit_mbg_nbd
from crm_pipeline_tests.fixtures.input import cdnow

Floats = npt.NDArray[np.float64]

ROWS: Final = 1_000_000
FIT_ROWS: Final = 50_000
RUNS: Final = 5
EQUALLY_LIKELY: Final = 1e-6


def seconds(*contestants: Callable[[], object]) -> list[float]:
    """The best of several runs of each, in turns, which other work on the machine disturbs least."""
    best = [math.inf] * len(contestants)
    for _ in range(RUNS):
        for place, work in enumerate(contestants):
            start = time.perf_counter()
            work()
            best[place] = min(best[place], time.perf_counter() - start)
    return best


def visitors(rows: int) -> Floats:
    """Frequency, recency and age (3, rows) of golfers who behave as the prior says, over three years of days."""
    rng = np.random.default_rng(0)
    age = rng.integers(0, 1096, rows).astype(np.float64)
    rate, drop = rng.gamma(PRIOR.r, 1.0 / PRIOR.alpha, rows), rng.beta(PRIOR.a, PRIOR.b, rows)
    frequency, recency, now = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    is_alive = rng.random(rows) > drop
    while is_alive.any():
        now += rng.exponential(1.0, rows) / rate
        is_alive &= now <= age
        frequency += is_alive
        recency = np.where(is_alive, np.floor(now), recency)
        is_alive &= rng.random(rows) > drop
    return np.stack((frequency, recency, age))


def raced(name: str, sample: Floats) -> Row:
    """Our fit next to theirs; exits where one of them is the less likely."""
    fitter = ModifiedBetaGeoFitter()
    ours, theirs = seconds(partial(fit_mbg_nbd, *sample), partial(fitter.fit, *sample))
    theta = np.log([fitter.params_[parameter] for parameter in ("r", "alpha", "a", "b")])
    peers_likelihood = compute_log_likelihood(theta, build_weighted_visitors(*sample))[0]
    likelihood = fit_mbg_nbd(*sample).log_likelihood
    print(f"{name}: log likelihood {likelihood:.3f}, lifetimes {peers_likelihood:.3f}")
    if not math.isclose(likelihood, peers_likelihood, rel_tol=EQUALLY_LIKELY):
        sys.exit("the fits are not equally likely: run the tests of crm_pipeline.domain.churn")
    return Row(f"churn fit, {name}", sample.shape[1], "visitors", ours, "lifetimes", theirs, AT_LEAST, 1)


def main() -> None:
    """Print both tables."""
    warnings.simplefilter("ignore")
    fits = [raced("CDNOW", np.stack(cdnow.read_calibration())), raced("made up", visitors(FIT_ROWS))]
    scores = Table(f"{ROWS:,} rows", "s")
    million = visitors(ROWS)
    for score in (predict_horizon_churn, predict_transactions):
        scores.add_row(score.__name__, f"{seconds(partial(score, PRIOR, *million))[0]:.3f}")
    Console().print(scores)
    sys.exit(not keep(__spec__.name, fits))


if __name__ == "__main__":
    main()
