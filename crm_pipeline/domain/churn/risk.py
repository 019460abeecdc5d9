"""Churn risk: which model applies to a profile, and the score of 0 to 100.

The basis is TRANSACTIONAL, MEMBER or NO_SIGNAL. The functions of the models are exported here too: users import this
module alone.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crm_pipeline.domain.churn.gamma_gamma import GammaGamma, fit_gamma_gamma, predict_mean_value
from crm_pipeline.domain.churn.mbg_nbd import (
    HORIZON_DAYS,
    PRIOR,
    MbgNbd,
    predict_alive_probability,
    predict_horizon_churn,
    predict_transactions,
)
from crm_pipeline.domain.churn.mbg_nbd_fit import fit_mbg_nbd
from crm_pipeline.domain.churn.renewal import (
    MEMBER_TERMS,
    RENEWAL_CODE,
    MemberChurn,
    MemberTerm,
    compute_renewal_hazard,
    predict_member_churn,
)
from crm_pipeline.vocabulary import ChurnBasis

__all__ = [
    "HORIZON_DAYS",
    "MEMBER_TERMS",
    "PRIOR",
    "RENEWAL_CODE",
    "ChurnRisk",
    "ChurnRiskInputs",
    "GammaGamma",
    "MbgNbd",
    "MemberChurn",
    "MemberTerm",
    "compute_renewal_hazard",
    "fit_gamma_gamma",
    "fit_mbg_nbd",
    "predict_alive_probability",
    "predict_horizon_churn",
    "predict_mean_value",
    "predict_member_churn",
    "predict_transactions",
    "select_churn_risk",
    "to_churn_score",
]

Floats = npt.NDArray[np.float64]


class ChurnRiskInputs(NamedTuple):
    """What decides the model, each (n,) of booleans.

    is_member: an active contract; gave_notice: notice on it; had_contract: one has ended; has_transacted: any
    transaction ever.
    """

    is_member: npt.ArrayLike
    gave_notice: npt.ArrayLike
    had_contract: npt.ArrayLike
    has_transacted: npt.ArrayLike


class ChurnRisk(NamedTuple):
    """Basis (n,), a `ChurnBasis`, and probability (n,), NaN for NO_SIGNAL."""

    basis: npt.NDArray[np.str_]
    probability: Floats


def select_churn_risk(inputs: ChurnRiskInputs, transactional: npt.ArrayLike, member: npt.ArrayLike) -> ChurnRisk:
    """Returns each profile's risk by the model that applies: docs/numbers.md, "Churn risk".

    `transactional` (n,) comes from `predict_horizon_churn` and `member` (n,) from `predict_member_churn`; where a model
    does not apply, its number is ignored. Notice given is certain. So is a contract that ended without any transaction:
    there the membership is the evidence.
    """
    is_member, gave_notice, had_contract, has_transacted = (np.asarray(flag, dtype=np.bool_) for flag in inputs)
    cases = [is_member, has_transacted, had_contract]
    basis = np.select(cases, [ChurnBasis.MEMBER, ChurnBasis.TRANSACTIONAL, ChurnBasis.MEMBER], ChurnBasis.NO_SIGNAL)
    leaving = np.where(gave_notice, 1.0, member)
    return ChurnRisk(basis, np.select(cases, [leaving, np.asarray(transactional), np.float64(1.0)], np.nan))


def to_churn_score(probability: npt.ArrayLike) -> Floats:
    """Returns whole points (n,) from 0 to 100, floor(0.5 + 100 p); NaN stays NaN."""
    return np.asarray(np.floor(0.5 + 100.0 * np.asarray(probability, dtype=np.float64)))
