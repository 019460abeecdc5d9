"""The weekly fit: every club's churn model from its own past, shrunk to what all clubs share, and its forecasts."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from crm_pipeline.domain.churn.gamma_gamma import GammaGamma, fit_gamma_gamma
from crm_pipeline.domain.churn.mbg_nbd import PRIOR, MbgNbd, predict_horizon_churn
from crm_pipeline.domain.churn.mbg_nbd_fit import fit_mbg_nbd
from crm_pipeline.domain.churn.parameters import POOLED_TENANT_ID
from crm_pipeline.domain.churn.renewal_fit import MemberArrays, RenewalParameters, fit_renewal
from crm_pipeline.domain.churn.training_data import TierNames, VisitorArrays

Floats = npt.NDArray[np.float64]

MAX_SAMPLE_SIZE: Final = 50_000
MIN_REPEATERS: Final = 100


class SpendFit(NamedTuple):
    """A club's Gamma-Gamma, None where nobody anywhere paid twice, and how many of the club's visitors did."""

    params: GammaGamma | None
    repeaters: int


def fit_visits(visitors: Mapping[str, VisitorArrays]) -> dict[str, MbgNbd]:
    """Returns every club's MBG/NBD, shrunk to the pool's, and as `POOLED_TENANT_ID` the pool's, shrunk to the prior."""
    visitor_count = sum(each.age.size for each in visitors.values())
    share = min(1.0, MAX_SAMPLE_SIZE / visitor_count) if visitor_count else 1.0
    # The same share of every club, so that the pool has the clubs' mix of visitors.
    sample = [each.select_first(int(share * each.age.size)) for each in visitors.values()]
    pool = fit_mbg_nbd(*_pool_visitors(sample), prior=PRIOR)
    fits = {name: fit_mbg_nbd(*each.select_first(MAX_SAMPLE_SIZE)[:3], prior=pool) for name, each in visitors.items()}
    return fits | {POOLED_TENANT_ID: pool}


def _pool_visitors(visitors: Sequence[VisitorArrays]) -> tuple[Floats, ...]:
    if not visitors:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    return tuple(np.concatenate(parts) for parts in zip(*(each[:3] for each in visitors), strict=True))


def forecast_churn(visitors: Mapping[str, VisitorArrays], fits: Mapping[str, MbgNbd]) -> dict[str, Floats]:
    """Returns the churn that every club's fit forecasts for its visitors, each within its horizon."""
    return {
        name: np.minimum(predict_horizon_churn(fits[name], *each[:3], each.horizon), each.no_show)
        for name, each in visitors.items()
    }


def fit_spend(visitors: Mapping[str, VisitorArrays]) -> dict[str, SpendFit]:
    """Returns every club's Gamma-Gamma; below 100 repeaters it is the pool's shape in the club's own money."""
    means = {name: _compute_mean_spend(each) for name, each in visitors.items()}
    repeaters = {name: _select_repeaters(each.select_first(MAX_SAMPLE_SIZE)) for name, each in visitors.items()}
    relative = [(days, value / means[name]) for name, (days, value) in repeaters.items() if days.size]
    pool = fit_gamma_gamma(*map(np.concatenate, zip(*relative, strict=True))) if relative else None
    fits = {}
    for name, (days, value) in repeaters.items():
        shared = pool._replace(v=pool.v * means[name]) if pool and means[name] else None
        params = fit_gamma_gamma(days, value) if days.size >= MIN_REPEATERS else shared
        fits[name] = SpendFit(params, days.size)
    return fits


def _compute_mean_spend(visitors: VisitorArrays) -> float:
    """Returns the cents per visit day, of visitors who paid."""
    paid = visitors.mean_value > 0
    days = visitors.frequency[paid] + 1.0
    return float(visitors.mean_value[paid] @ days / days.sum()) if days.size else 0.0


def _select_repeaters(visitors: VisitorArrays) -> tuple[Floats, Floats]:
    is_repeater = (visitors.frequency > 0) & (visitors.mean_value > 0)
    return visitors.frequency[is_repeater] + 1.0, visitors.mean_value[is_repeater]


def fit_members(
    members: Mapping[str, MemberArrays], tiers: Mapping[str, TierNames]
) -> dict[str, tuple[RenewalParameters, dict[str, RenewalParameters]]]:
    """Returns every club's hazard and terms, shrunk to the pool's, and its tiers' hazards, shrunk to the club's."""
    all_members = (
        MemberArrays(*(np.concatenate(parts) for parts in zip(*members.values(), strict=True))) if members else None
    )
    pool = fit_renewal(all_members, RenewalParameters()) if all_members else RenewalParameters()
    fits: dict[str, tuple[RenewalParameters, dict[str, RenewalParameters]]] = {POOLED_TENANT_ID: (pool, {})}
    for name, each in members.items():
        club = fit_renewal(each, pool)
        names = sorted({tier for tier in tiers[name] if tier})
        fits[name] = club, {t: fit_renewal(each.select_rows(tiers[name] == t), club, terms=False) for t in names}
    return fits
