"""Hazards and terms of members."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.domain.churn.renewal import (
    MEMBER_TERMS,
    PRIOR_DELTA,
    PRIOR_GAMMA,
    RENEWAL_CODE,
    compute_renewal_hazard,
    predict_member_churn,
)


def test_hazard_of_the_first_renewal_is_the_mean_of_the_beta() -> None:
    assert compute_renewal_hazard(1) == pytest.approx(PRIOR_GAMMA / (PRIOR_GAMMA + PRIOR_DELTA))


def test_hazard_falls_with_every_renewal_and_never_to_nothing() -> None:
    hazard = compute_renewal_hazard(np.arange(1, 200))
    assert (np.diff(hazard) < 0).all()
    assert (hazard > 0).all()


def test_a_renewal_before_the_first_is_the_first() -> None:
    assert compute_renewal_hazard(0) == compute_renewal_hazard(1)


def test_tiers_may_differ() -> None:
    tiers = predict_member_churn([1, 1], {}, gamma=[0.5, 2.0], delta=[4.5, 2.0])
    np.testing.assert_allclose(tiers.probability, [0.1, 0.5])


@given(st.integers(1, 60), st.sets(st.sampled_from([term.code for term in MEMBER_TERMS])))
def test_contributions_are_the_whole_log_odds(renewal_number: int, codes: set[str]) -> None:
    churn = predict_member_churn([renewal_number], {code: [True] for code in codes})
    log_odds = sum(term.log_odds for term in MEMBER_TERMS if term.code in codes)
    assert churn.contributions[RENEWAL_CODE] + log_odds == pytest.approx(sum(churn.contributions.values()))
    assert np.log(churn.probability / (1 - churn.probability)) == pytest.approx(sum(churn.contributions.values()))
    assert {code for code, points in churn.contributions.items() if points[0] > 0} == codes


def test_a_term_holds_for_those_it_is_flagged_for() -> None:
    churn = predict_member_churn([4, 4], {"suspended": [False, True]})
    assert churn.contributions["suspended"].tolist() == [0.0, 1.5]
    assert churn.probability[0] == pytest.approx(compute_renewal_hazard(4))


def test_an_unknown_term_is_named() -> None:
    with pytest.raises(ValueError, match="overdue_90"):
        predict_member_churn([1], {"overdue_90": [True]})
