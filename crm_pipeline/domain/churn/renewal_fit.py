"""The fit of the member model: hazard and terms that make the lapses of a year most likely, pooled downwards.

The likelihood is that of lapsing within a year, given the next renewal's number and the term flags seen before it.

All clubs together are shrunk to the prior, a club to all clubs, a tier to its club: always by the same
20 * ||ln theta - ln theta_0||^2, so that some three hundred members weigh as much as what is known without them. The
terms stay as they are until `MIN_LAPSES` lapses were seen, and can weaken but never change their sign.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit

from crm_pipeline.domain.churn.mle import maximise_likelihood
from crm_pipeline.domain.churn.renewal import MEMBER_TERMS, PRIOR_DELTA, PRIOR_GAMMA, PRIOR_LOG_ODDS

Floats = npt.NDArray[np.float64]

MEMBER_PRIOR_STRENGTH: Final = 20.0
"""With the visitors' 2.5 a club of hundred members follows chance: in six sampled worlds (`benchmarks.forecasts`) this
one forecasts better, Brier .0846 instead of .0854 in the mean."""
MIN_LAPSES: Final = 50
MEMBER_TERM_CODES: Final = tuple(term.code for term in MEMBER_TERMS)


class RenewalParameters(NamedTuple):
    """Parameters of the hazard, both positive, and what each term adds to the log odds, by its code."""

    gamma: float = PRIOR_GAMMA
    delta: float = PRIOR_DELTA
    log_odds: Mapping[str, float] = PRIOR_LOG_ODDS


class MemberArrays(NamedTuple):
    """Members a year ago: renewal number (n,), term flags seen then (n, terms), whether they lapsed since (n,)."""

    renewal_number: Floats
    term_flags: Floats
    has_lapsed: Floats

    def select_rows(self, rows: npt.NDArray[np.bool_]) -> "MemberArrays":
        """Returns the selected members."""
        return MemberArrays(*(column[rows] for column in self))


def fit_renewal(members: MemberArrays, prior: RenewalParameters, *, terms: bool = True) -> RenewalParameters:
    """Returns the parameters that maximise LL - 20 * ||ln theta - ln prior||^2.

    With `terms`, and enough lapses among these members, what the terms add is fitted too; else it is the prior's.

    Raises:
        ArithmeticError: the search did not converge.
    """
    is_free = np.ones(2 + len(MEMBER_TERM_CODES), dtype=np.bool_)
    is_free[2:] = terms and members.has_lapsed.sum() >= MIN_LAPSES
    start = np.log([prior.gamma, prior.delta, *(prior.log_odds[code] for code in MEMBER_TERM_CODES)])

    def compute_free_likelihood(theta: Floats) -> tuple[float, Floats]:
        full_theta = start.copy()
        full_theta[is_free] = theta
        value, slope = compute_log_likelihood(full_theta, members)
        return value, slope[is_free]

    theta = start.copy()
    theta[is_free] = maximise_likelihood(
        compute_free_likelihood, start[is_free], members.has_lapsed.size, MEMBER_PRIOR_STRENGTH
    )
    gamma, delta, *log_odds = np.exp(theta).tolist()
    return RenewalParameters(gamma, delta, dict(zip(MEMBER_TERM_CODES, log_odds, strict=True)))


def compute_log_likelihood(theta: Floats, members: MemberArrays) -> tuple[float, Floats]:
    """Returns the log likelihood of the lapses and its gradient (k,), at and by theta = ln (gamma, delta, terms).

    The log odds of the hazard g / (g + d + n - 1) are ln g - ln (d + n - 1), and the terms are added to them.
    """
    gamma, delta, *added = np.exp(theta).tolist()
    waited = delta + np.maximum(members.renewal_number, 1.0) - 1.0
    log_odds = np.log(gamma) - np.log(waited) + members.term_flags @ added
    residual = members.has_lapsed - expit(log_odds)
    value = members.has_lapsed @ log_expit(log_odds) + (1.0 - members.has_lapsed) @ log_expit(-log_odds)
    slopes = [residual.sum(), -(residual @ (delta / waited)), *(np.array(added) * (residual @ members.term_flags))]
    return float(value), np.array(slopes)
