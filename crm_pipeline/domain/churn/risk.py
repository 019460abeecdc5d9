"""Churn risk: which model applies to a profile, and the score of 0 to 100.

The basis is TRANSACTIONAL, MEMBER or NO_SIGNAL.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crm_pipeline.vocabulary import ChurnBasis

Floats = npt.NDArray[np.float64]


class ChurnRiskInputs(NamedTuple):
    """What decides the model, each (n,) of booleans.

    is_member: an active contract; gave_notice: notice on it; had_contract: one has ended; has_visited: any visit day
    ever; is_expected: never visited, but a visit is planned by somebody known from a transaction or an ended contract.
    """

    is_member: npt.ArrayLike
    gave_notice: npt.ArrayLike
    had_contract: npt.ArrayLike
    has_visited: npt.ArrayLike
    is_expected: npt.ArrayLike = False


class ChurnRisk(NamedTuple):
    """Basis (n,), a `ChurnBasis`, and probability (n,), NaN for NO_SIGNAL."""

    basis: npt.NDArray[np.str_]
    probability: Floats


def select_churn_risk(
    inputs: ChurnRiskInputs, transactional: npt.ArrayLike, member: npt.ArrayLike, no_show: npt.ArrayLike = 1.0
) -> ChurnRisk:
    """Returns each profile's risk by the model that applies: docs/numbers.md, "Churn risk".

    `transactional` (n,) comes from `predict_horizon_churn`, `member` (n,) from `predict_member_churn`, and `no_show`
    (n,) is the chance that a planned visit comes to nothing, 1 where none is planned; where a model does not apply, its
    number is ignored. Notice given is certain. So is a contract that ended without any visit: there the membership is
    the evidence. A tee time changes neither.
    """
    is_member, gave_notice, had_contract, has_visited, is_expected = (
        np.asarray(flag, dtype=np.bool_) for flag in inputs
    )
    cases = [is_member, has_visited, is_expected, had_contract]
    bases = [ChurnBasis.MEMBER, ChurnBasis.TRANSACTIONAL, ChurnBasis.TRANSACTIONAL, ChurnBasis.MEMBER]
    basis = np.select(cases, bases, ChurnBasis.NO_SIGNAL)
    leaving, staying_away = np.where(gave_notice, 1.0, member), np.minimum(transactional, no_show)
    return ChurnRisk(basis, np.select(cases, [leaving, staying_away, np.asarray(no_show), np.float64(1.0)], np.nan))


def to_churn_score(probability: npt.ArrayLike) -> Floats:
    """Returns whole points (n,) from 0 to 100, floor(0.5 + 100 p); NaN stays NaN."""
    return np.asarray(np.floor(0.5 + 100.0 * np.asarray(probability, dtype=np.float64)))
