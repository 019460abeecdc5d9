"""The choice of the model, rounding, and the reference values of scores.md through `risk.py`."""

import numpy as np
import pytest

from crm_pipeline.domain.churn.mbg_nbd import PRIOR, predict_horizon_churn
from crm_pipeline.domain.churn.renewal import MEMBER_TERMS, predict_member_churn
from crm_pipeline.domain.churn.risk import ChurnRiskInputs, select_churn_risk, to_churn_score
from crm_pipeline.vocabulary import ChurnBasis
from crm_pipeline_tests.fixtures.input import cdnow


def inputs_of(*holds: str) -> ChurnRiskInputs:
    return ChurnRiskInputs(*([name in holds] for name in ChurnRiskInputs._fields))


@pytest.mark.parametrize(
    ("holds", "basis", "probability"),
    [
        ((), ChurnBasis.NO_SIGNAL, np.nan),
        (("gave_notice",), ChurnBasis.NO_SIGNAL, np.nan),
        (("has_visited",), ChurnBasis.TRANSACTIONAL, 0.4),
        (("is_member",), ChurnBasis.MEMBER, 0.1),
        (("is_member", "has_visited", "had_contract"), ChurnBasis.MEMBER, 0.1),
        (("is_member", "has_visited", "gave_notice"), ChurnBasis.MEMBER, 1.0),
        (("had_contract", "has_visited"), ChurnBasis.TRANSACTIONAL, 0.4),
        (("had_contract", "gave_notice"), ChurnBasis.MEMBER, 1.0),
        (("is_expected",), ChurnBasis.TRANSACTIONAL, 0.7),
        (("is_expected", "had_contract"), ChurnBasis.TRANSACTIONAL, 0.7),
    ],
)
def test_contract_and_visits_decide_the_model(holds: tuple[str, ...], basis: ChurnBasis, probability: float) -> None:
    risk = select_churn_risk(inputs_of(*holds), [0.4], [0.1], [0.7])
    assert risk.basis.tolist() == [basis]
    np.testing.assert_array_equal(risk.probability, [probability])


def test_a_model_that_does_not_apply_may_have_no_number() -> None:
    assert select_churn_risk(inputs_of("has_visited"), [0.4], [np.nan]).probability == [0.4]
    assert select_churn_risk(inputs_of("is_member"), [np.nan], [0.1]).probability == [0.1]


def test_a_planned_visit_caps_the_risk_of_a_visitor_alone() -> None:
    for holds, capped in (("has_visited", 0.1), ("is_member", 0.3), ("had_contract", 1.0)):
        assert select_churn_risk(inputs_of(holds), [0.9], [0.3], [0.1]).probability == [capped]


def test_nobody_at_all_is_no_error() -> None:
    assert select_churn_risk(ChurnRiskInputs([], [], [], [], []), [], [], []).probability.shape == (0,)


@pytest.mark.parametrize(
    ("probability", "score"), [(0.0, 0), (0.00499, 0), (0.005, 1), (0.125, 13), (0.99499, 99), (0.995, 100), (1.0, 100)]
)
def test_halves_are_rounded_up(probability: float, score: int) -> None:
    assert to_churn_score(probability) == score


def test_no_signal_stays_without_a_score() -> None:
    assert np.isnan(to_churn_score([np.nan])).all()


@pytest.mark.parametrize(
    ("visitor", "percent"),
    [
        ((0, 0, 0), 43.8794),
        ((0, 0, 180), 76.6400),
        ((5, 300, 330), 14.9682),
        ((20, 350, 357), 3.8039),
        ((20, 350, 500), 93.7883),
    ],
)
def test_reference_visitors(visitor: tuple[float, float, float], percent: float) -> None:
    assert 100 * predict_horizon_churn(PRIOR, *visitor) == pytest.approx(percent, abs=5e-5)


@pytest.mark.parametrize(
    ("renewal_number", "flags", "percent"),
    [(1, (), 14.9307), (3, ("overdue_31_60", "no_play_60"), 50.9409)],
)
def test_reference_members(renewal_number: int, flags: tuple[str, ...], percent: float) -> None:
    probability = predict_member_churn([renewal_number], {flag: [True] for flag in flags}).probability
    assert 100 * probability == pytest.approx(percent, abs=5e-5)


def test_worked_examples() -> None:
    casual = to_churn_score(predict_horizon_churn(PRIOR, [0, 0, 5, 2], [0, 0, 300, 100], [0, 180, 330, 500]))
    assert casual.tolist() == [44, 77, 15, 89]
    late = {"overdue_31_60": [False, True], "no_play_60": [False, True]}
    assert to_churn_score(predict_member_churn([5, 3], late).probability).tolist() == [8, 51]


@pytest.mark.parametrize("weeks", [13, 39])
def test_the_prior_for_golf_still_ranks_cdnow(weeks: int) -> None:
    """AUC 0.76 is scores.md's figure for a fit to CDNOW itself."""
    calibration, wait = cdnow.read_log()
    risk = predict_horizon_churn(PRIOR, calibration.frequency, calibration.recency * 7, calibration.age * 7, weeks * 7)
    stayed, left = risk[wait <= weeks], risk[wait > weeks]
    assert (stayed[:, None] < left).mean() + (stayed[:, None] == left).mean() / 2 > 0.74


def test_terms_are_declared_once_each_and_in_words() -> None:
    assert len({term.code for term in MEMBER_TERMS}) == len({term.words for term in MEMBER_TERMS}) == len(MEMBER_TERMS)
    assert all(term.log_odds > 0 for term in MEMBER_TERMS)
