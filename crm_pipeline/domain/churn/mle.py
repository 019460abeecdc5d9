"""The search for the parameters of greatest likelihood, shared by all model fits.

`theta` is always the logarithm of positive parameters: no step can leave their range, and a unit (days or weeks, cents
or euros) only shifts theta, so nothing needs rescaling.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, minimize

Floats = npt.NDArray[np.float64]
LogLikelihood = Callable[[Floats], tuple[float, Floats]]

# A likelihood without a maximum would let a search run off to infinity; 1,000 times the start, or a 1,000th, will do.
MAX_LOG_DISTANCE: Final = float(np.log(1_000.0))
GRADIENT_TOLERANCE: Final = 1e-4
MAX_ATTEMPTS: Final = 5


def maximise_likelihood(
    log_likelihood: LogLikelihood, start: Floats, sample_size: float, strength: float = 0.0
) -> Floats:
    """Returns the theta that maximises log likelihood - strength * ||theta - start||^2.

    Args:
        log_likelihood: of theta (k,), giving the value and its gradient (k,).
        start: where to begin, (k,), and with a strength what to shrink towards.
        sample_size: how many observations the likelihood sums over; the gradient is measured per observation.
        strength: weight of the penalty, 0 or more.

    Raises:
        ArithmeticError: the gradient is not flat where the search ended.
    """

    def loss(theta: Floats) -> tuple[float, Floats]:
        value, gradient = log_likelihood(theta)
        distance = theta - start
        # Per observation, so that one tolerance suits a club of ten and a pool of millions.
        scale = 1.0 + sample_size
        return float(strength * distance @ distance - value) / scale, (2.0 * strength * distance - gradient) / scale

    bounds, theta = Bounds(start - MAX_LOG_DISTANCE, start + MAX_LOG_DISTANCE), start
    for _ in range(MAX_ATTEMPTS):
        result = minimize(
            loss, theta, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14, "gtol": 1e-8}
        )
        theta = np.asarray(result.x, dtype=np.float64)
        # `success` is no guide: any small last step counts as the end, and rounding at the end as a failure.
        downhill = np.clip(theta - result.jac, bounds.lb, bounds.ub) - theta
        if np.abs(downhill).max() < GRADIENT_TOLERANCE:
            return theta
    raise ArithmeticError(f"no parameters of greatest likelihood for {sample_size:.0f} observations: {result.message}")
