"""The fit of the member model: hazard and terms that make the lapses of a year most likely, pooled downwards.

Here: one likelihood, of who lapsed within a year given the renewal they stood before and the signs seen then. Not
here: what the parameters then say (`renewal`), the search (`maximum_likelihood`), how a year ago is looked at
(`hindsight`).

All clubs together are shrunk to the prior, a club to all clubs, a tier to its club: always by the same
2.5 * ||ln theta - ln theta_0||^2, so that a tier of five members says next to nothing and one of five hundred nearly
all. The terms stay as they are until `LEAST_LAPSES` lapses were seen, and can weaken but never change their sign.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit

from crm_pipeline.domain.churn.mbg_nbd_fit import PRIOR_STRENGTH
from crm_pipeline.domain.churn.mle import maximise_likelihood
from crm_pipeline.domain.churn.renewal import MEMBER_TERMS, PRIOR_DELTA, PRIOR_GAMMA, PRIOR_LOG_ODDS

Floats = npt.NDArray[np.float64]

MIN_LAPSES: Final = 50
MEMBER_TERM_CODES: Final = tuple(term.code for term in MEMBER_TERMS)


class RenewalParameters(NamedTuple):
    """Parameters of the hazard, both positive, and what each term adds to the log odds, by its code."""

    gamma: float = PRIOR_GAMMA
    delta: float = PRIOR_DELTA
    log_odds: Mapping[str, float] = PRIOR_LOG_ODDS


class MemberArrays(NamedTuple):
    """Members a year ago: renewal number (n,), signs seen then (n, terms), whether they have lapsed since (n,)."""

    renewal_number: Floats
    signs: Floats
    has_lapsed: Floats

    def among(self, which: npt.NDArray[np.bool_]) -> "MemberArrays":
        """Some of them."""
        return MemberArrays(*(column[which] for column in self))


def fit_renewal(members: MemberArrays, prior: RenewalParameters, *, terms: bool = True) -> RenewalParameters:
    """The parameters that maximise LL - 2.5 * ||ln theta - ln prior||^2.

    With `terms`, and enough lapses among these members, what the terms add is fitted too; else it is the prior's.
    Raises ArithmeticError where the search did not converge.
    """
    is_free = np.ones(2 + len(MEMBER_TERM_CODES), dtype=np.bool_)
    is_free[2:] = terms and members.has_lapsed.sum() >= MIN_LAPSES
    start = np.log([prior.gamma, prior.delta, *(prior.log_odds[code] for code in MEMBER_TERM_CODES)])

    def of_free(theta: Floats) -> tuple[float, Floats]:
        whole = start.copy()
        whole[is_free] = theta
        value, slope = compute_log_likelihood(whole, members)
        return value, slope[is_free]

    theta = start.copy()
    theta[is_free] = maximise_likelihood(of_free, start[is_free], members.has_lapsed.size, PRIOR_STRENGTH)
    gamma, delta, *log_odds = np.exp(theta).tolist()
    return RenewalParameters(gamma, delta, dict(zip(MEMBER_TERM_CODES, log_odds, strict=True)))


def compute_log_likelihood(theta: Floats, members: MemberArrays) -> tuple[float, Floats]:
    """Of who lapsed, and its gradient (k,), at and by theta = ln (gamma, delta, terms).

    The log odds of the hazard g / (g + d + n - 1) are ln g - ln (d + n - 1), and the terms are added to them.
    """
    gamma, delta, *added = np.exp(theta).tolist()
    waited = delta + np.maximum(members.renewal_number, 1.0) - 1.0
    log_odds = np.log(gamma) - np.log(waited) + members.signs @ added
    surprise = members.has_lapsed - expit(log_odds)
    value = members.has_lapsed @ log_expit(log_odds) + (1.0 - members.has_lapsed) @ log_expit(-log_odds)
    slopes = [surprise.sum(), -(surprise @ (delta / waited)), *(np.array(added) * (surprise @ members.signs))]
    return float(value), np.array(slopes)
