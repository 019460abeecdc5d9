"""The churn model's speed beside lifetimes': `python -m benchmarks.churn`. Seconds, the best of several runs."""

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from crm_pipeline.domain.churn import PRIOR, alive_probability, expected_transactions, fit_mbg_nbd, horizon_churn
from crm_pipeline.domain.mbg_nbd_fit import log_likelihood, sample_of
from crm_pipeline_tests.domain import cdnow

Floats = npt.NDArray[np.float64]

ROWS: Final = 1_000_000
FIT_ROWS: Final = 50_000
RUNS: Final = 5


def seconds(work: Callable[[], object]) -> float:
    """The best of several runs, which other work on the machine disturbs least."""
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


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


def peer_fit(sample: Floats) -> tuple[float, float] | str:
    """The seconds and log likelihood of lifetimes, or why it does not run here."""
    try:
        from lifetimes import ModifiedBetaGeoFitter  # noqa: PLC0415 the peer may not import at all

        fitter = ModifiedBetaGeoFitter()
        taken = seconds(partial(fitter.fit, *sample))
        theta = np.log([fitter.params_[name] for name in ("r", "alpha", "a", "b")])
    except Exception as error:  # noqa: BLE001 whatever stops the peer, our own figures still count
        return f"{type(error).__name__}: {error}"
    return taken, log_likelihood(theta, sample_of(*sample))[0]


def fit_row(name: str, sample: Floats) -> tuple[str, ...]:
    """One line of the fits: ours and the peer's."""
    ours, peer = seconds(partial(fit_mbg_nbd, *sample)), peer_fit(sample)
    likelihood = fit_mbg_nbd(*sample).log_likelihood
    theirs = (peer,) if isinstance(peer, str) else (f"{peer[0]:.4f}", f"{peer[1]:.3f}", f"{peer[0] / ours:.1f}")
    return name, f"{ours:.4f}", f"{likelihood:.3f}", *theirs


def main() -> None:
    """Print both tables."""
    warnings.simplefilter("ignore")
    fits = Table("fit", "ours s", "LL", "lifetimes s", "its LL", "times faster")
    fits.add_row(*fit_row("CDNOW", np.stack(cdnow.read_calibration())))
    fits.add_row(*fit_row(f"{FIT_ROWS:,}", visitors(FIT_ROWS)))
    scores = Table(f"{ROWS:,} rows", "s")
    million = visitors(ROWS)
    for score in (alive_probability, horizon_churn, expected_transactions):
        scores.add_row(score.__name__, f"{seconds(partial(score, PRIOR, *million)):.3f}")
    Console().print(fits, scores)


if __name__ == "__main__":
    main()
