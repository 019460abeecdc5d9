"""Churn risk: which model judges whom, and the score of 0 to 100.

Here: the choice between TRANSACTIONAL, MEMBER and NO_SIGNAL, and rounding; the models' functions are named here too, so
that this is the module to import. Not here: the models themselves (`mbg_nbd`, `mbg_nbd_fit`, `renewal`, money in
`gamma_gamma`), the facts they are fed, and where a fit is kept.
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
    "GammaGamma",
    "MbgNbd",
    "MemberChurn",
    "MemberTerm",
    "ChurnRiskInputs",
    "predict_alive_probability",
    "select_churn_risk",
    "to_churn_score",
    "predict_mean_value",
    "predict_transactions",
    "fit_gamma_gamma",
    "fit_mbg_nbd",
    "predict_horizon_churn",
    "predict_member_churn",
    "compute_renewal_hazard",
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


def select_churn_risk(standing: ChurnRiskInputs, transactional: npt.ArrayLike, member: npt.ArrayLike) -> ChurnRisk:
    """Each profile's risk by the model that applies: scores.md, "Churn risk".

    `transactional` is `horizon_churn`'s answer and `member` `member_churn`'s, (n,) each; where a model does not apply
    its number is not looked at. Notice given is certain; so is a contract that ended without any transaction, which
    the membership, not a visit, is the evidence for.
    """
    is_member, gave_notice, had_contract, has_transacted = (np.asarray(flag, dtype=np.bool_) for flag in standing)
    cases = [is_member, has_transacted, had_contract]
    basis = np.select(cases, [ChurnBasis.MEMBER, ChurnBasis.TRANSACTIONAL, ChurnBasis.MEMBER], ChurnBasis.NO_SIGNAL)
    leaving = np.where(gave_notice, 1.0, member)
    return ChurnRisk(basis, np.select(cases, [leaving, np.asarray(transactional), np.float64(1.0)], np.nan))


def to_churn_score(probability: npt.ArrayLike) -> Floats:
    """Whole points (n,) from 0 to 100, floor(0.5 + 100 p); NaN stays NaN."""
    return np.asarray(np.floor(0.5 + 100.0 * np.asarray(probability, dtype=np.float64)))
