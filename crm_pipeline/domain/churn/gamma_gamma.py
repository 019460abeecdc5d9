"""The Gamma-Gamma model of money: its fit, and a customer's expected mean spend per visit.

The model is Fader and Hardie's (2013, "The Gamma-Gamma Model of Monetary Value", brucehardie.com/notes/025): one spend
is Gamma(p, nu), nu differs between customers as Gamma(q, v). A customer is the frequency x, how many spends were seen,
and their mean. Values are in any one unit, cents here, and v is in it too.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, psi

from crm_pipeline.domain.churn.mle import maximise_likelihood

Floats = npt.NDArray[np.float64]


class GammaGamma(NamedTuple):
    """Parameters: p > 0, q > 1 so that the mean customer exists, v > 0 in the unit of the values."""

    p: float
    q: float
    v: float


class GammaGammaArrays(NamedTuple):
    """Parameters (n,), one set per customer; NaN for a customer whose club has none yet."""

    p: Floats
    q: Floats
    v: Floats


def fit_gamma_gamma(frequency: npt.ArrayLike, mean_value: npt.ArrayLike) -> GammaGamma:
    """Returns the parameters of greatest likelihood.

    Args:
        frequency: spends seen, (n,); customers without any are left out.
        mean_value: their mean, (n,); customers with none above 0 are left out.

    Raises:
        ValueError: nobody is left, or a value is not finite.
        ArithmeticError: the search did not converge.
    """
    x, mean = np.asarray(frequency, dtype=np.float64), np.asarray(mean_value, dtype=np.float64)
    is_spender = (x > 0) & ~(mean <= 0)
    x, mean = x[is_spender], mean[is_spender]
    if not (x.size and np.isfinite(x).all() and np.isfinite(mean).all()):
        raise ValueError("Gamma-Gamma needs at least one customer who spent, and finite values")
    theta = maximise_likelihood(
        lambda theta: compute_log_likelihood(theta, x, mean), np.log([1.0, 1.0, mean.mean()]), x.size
    )
    p, excess, v = np.exp(theta).tolist()
    return GammaGamma(p, 1.0 + excess, v)


def compute_log_likelihood(theta: Floats, x: Floats, mean: Floats) -> tuple[float, Floats]:
    """Returns the log likelihood and its gradient (3,), at and by theta = ln (p, q - 1, v).

    The formula is eq. 1a of Fader and Hardie (2013).
    """
    p, excess, v = np.exp(theta).tolist()
    q, shape, spent = 1.0 + excess, p * x, x * mean
    share, rest = np.log(spent / (v + spent)), np.log(v / (v + spent))
    value = -betaln(shape, q) + shape * share + q * rest - np.log(mean)
    psi_sum = psi(shape + q)
    slopes = (
        shape * (psi_sum - psi(shape) + share),
        excess * (psi_sum - psi(q) + rest),
        q - (shape + q) * v / (v + spent),
    )
    return float(value.sum()), np.array([slope.sum() for slope in slopes])


def predict_mean_value(
    params: GammaGamma | GammaGammaArrays | None, frequency: npt.ArrayLike, mean_value: npt.ArrayLike
) -> Floats:
    """Returns the mean value (n,) of a future spend: p (v + x m) / (p x + q - 1), eq. 5 of Fader and Hardie (2013).

    A customer without a spend has the mean of all, p v / (q - 1). Without parameters, before any fit, everyone has
    the mean observed of them.
    """
    x, mean = np.asarray(frequency, dtype=np.float64), np.asarray(mean_value, dtype=np.float64)
    if params is None:
        return mean
    spent = np.where(x > 0, x * mean, 0.0)
    expected = params.p * (params.v + spent) / (params.p * x + params.q - 1.0)
    return np.asarray(np.where(np.isnan(params.p), mean, expected))
