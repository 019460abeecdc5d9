"""The fit of MBG/NBD: its likelihood, the gradient, and the parameters that make the observed visits most likely."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit

from crm_pipeline.domain.churn.mbg_nbd import Floats, MbgNbd, clip_visits, compute_dropout_log_odds
from crm_pipeline.domain.churn.mle import maximise_likelihood

PRIOR_STRENGTH: Final = 2.5


class WeightedVisitors(NamedTuple):
    """Distinct visitors (n,), how many of each, and how many have a frequency of at least 0, 1, 2, ... (k,)."""

    x: Floats
    recency: Floats
    age: Floats
    weight: Floats
    at_least: Floats

    @property
    def visitors(self) -> float:
        """The number of visitors, distinct or not."""
        return float(self.weight.sum())


def fit_mbg_nbd(
    frequency: npt.ArrayLike,
    recency: npt.ArrayLike,
    age: npt.ArrayLike,
    *,
    prior: MbgNbd | None = None,
    weights: npt.ArrayLike | None = None,
) -> MbgNbd:
    """Returns the parameters that maximise LL - 2.5 * ||ln theta - ln prior||^2, or LL alone without a prior.

    Args:
        frequency: visits after the first, (n,).
        recency: first visit to last, (n,), in any unit.
        age: first visit to now, (n,), in that unit.
        prior: what to shrink towards, alpha in that unit too. Without any visitor it is the answer.
        weights: how many visitors each row stands for, (n,); 1 unless given.

    Raises:
        ValueError: something is not finite, a frequency or weight is negative, or there is no visitor and no prior.
        ArithmeticError: the search did not converge.
    """
    sample = build_weighted_visitors(frequency, recency, age, weights)
    if prior is None and not sample.visitors:
        raise ValueError("MBG/NBD has no visitor to be fitted to, and no prior")
    start = prior or MbgNbd(1.0, float(sample.weight @ sample.age) / sample.visitors or 1.0, 1.0, 1.0)
    strength = PRIOR_STRENGTH if prior else 0.0
    theta = maximise_likelihood(
        lambda theta: compute_log_likelihood(theta, sample), np.log(start[:4]), sample.visitors, strength
    )
    r, alpha, a, b = np.exp(theta).tolist()
    return MbgNbd(r, alpha, a, b, compute_log_likelihood(theta, sample)[0])


def build_weighted_visitors(
    frequency: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> WeightedVisitors:
    """Returns each distinct visitor once, with the summed weight.

    Raises:
        ValueError: something is not finite, a frequency is no whole number, or a frequency or weight is negative.
    """
    visits = np.stack(clip_visits(frequency, recency, age))
    weight = np.ones(visits.shape[1]) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (np.isfinite(visits).all() and np.isfinite(weight).all()):
        raise ValueError("MBG/NBD is fitted to finite visits and weights only")
    if (visits < 0).any() or (visits[0] % 1).any() or (weight < 0).any():
        raise ValueError("MBG/NBD is fitted to whole frequencies and to weights, none of them negative")
    order = np.lexsort(visits)
    visits, weight = visits[:, order], weight[order]
    starts = np.ones(weight.size, dtype=np.bool_)
    starts[1:] = (visits[:, 1:] != visits[:, :-1]).any(axis=0)
    x, first_to_last, first_to_now = visits[:, starts]
    summed = _sum_weights(np.cumsum(starts) - 1, weight)
    return WeightedVisitors(
        x, first_to_last, first_to_now, summed, np.cumsum(_sum_weights(x.astype(np.intp), summed)[::-1])[::-1]
    )


def _sum_weights(group: npt.NDArray[np.intp], weight: Floats) -> Floats:
    """Returns the sum (k,) of the weights (n,) in each group 0, 1, ..."""
    return np.bincount(group, weight).astype(np.float64, copy=False)


def compute_log_likelihood(theta: Floats, sample: WeightedVisitors) -> tuple[float, Floats]:
    """Returns the log likelihood and its gradient (4,), at and by theta = ln (r, alpha, a, b).

    The formula is Batislam et al.'s (2007).
    """
    r, alpha, a, b = np.exp(theta).tolist()
    x, recency, age, weight, _ = sample
    log_odds = compute_dropout_log_odds(MbgNbd(r, alpha, a, b), x, recency, age)
    dropped = expit(log_odds)
    lapse = (age - recency) / (alpha + recency)
    wait = np.log1p(age / alpha)
    count_terms, slopes = _compute_count_terms(r, a, b, sample.at_least)
    value = count_terms - weight @ ((r + x) * wait + x * theta[1] + log_expit(-log_odds))
    slopes += (
        r * (weight @ (dropped * np.log1p(lapse) - wait)),
        weight @ ((r + x) * (age - alpha * dropped * lapse) / (alpha + age) - x),
        weight @ dropped,
        -b * (weight @ (dropped / (b + x))),
    )
    return float(value), slopes


def _compute_count_terms(r: float, a: float, b: float, at_least: Floats) -> tuple[float, Floats]:
    """Returns the logarithm of G(r+x)/G(r) * G(b+x+1)/G(b) * G(a+b)/G(a+b+x+1) and its slopes (4,).

    Each ratio is a product of one factor per visit, shared by all visitors who came that often. The product is exact
    where a difference of two log gammas loses every digit, and cheaper.
    """
    steps = np.arange(at_least.size, dtype=np.float64)

    def rise(start: float, visitors: Floats) -> tuple[float, float]:
        factors = start + steps[: visitors.size]
        return float(visitors @ np.log(factors)), float(visitors @ (1.0 / factors))

    (visits, by_r), (stays, by_b), (ends, by_both) = rise(r, at_least[1:]), rise(b, at_least), rise(a + b, at_least)
    return visits + stays - ends, np.array([r * by_r, 0.0, -a * by_both, b * (by_b - by_both)])
