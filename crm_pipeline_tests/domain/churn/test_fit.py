"""Pooling: what all clubs share, what a club's own past adds to it, and what small clubs take from the pool."""

import numpy as np
import pytest

from crm_pipeline.domain.churn import fit as fit_module
from crm_pipeline.domain.churn.fit import fit_members, fit_spend, fit_visits, forecast_churn
from crm_pipeline.domain.churn.gamma_gamma import fit_gamma_gamma
from crm_pipeline.domain.churn.mbg_nbd import PRIOR, predict_horizon_churn
from crm_pipeline.domain.churn.mbg_nbd_fit import fit_mbg_nbd
from crm_pipeline.domain.churn.parameters import POOLED_TENANT_ID
from crm_pipeline.domain.churn.renewal import compute_renewal_hazard
from crm_pipeline.domain.churn.renewal_fit import MEMBER_TERM_CODES, MemberArrays, RenewalParameters
from crm_pipeline.domain.churn.training_data import VisitorArrays


def visitors(count: int, mean_wait: float = 30.0, cents: float = 5_000.0, seed: int = 0) -> VisitorArrays:
    """Returns golfers of two years who come every `mean_wait` days or so and stay, or came once."""
    rng = np.random.default_rng([seed, count])
    age = rng.integers(200, 730, count).astype(np.float64)
    frequency = np.where(rng.random(count) < 0.7, rng.poisson(age / mean_wait), 0).astype(np.float64)
    recency = np.where(frequency > 0, age * frequency / (frequency + 1), 0.0)
    spent = rng.gamma(8.0, cents / 8.0, count)
    horizon, no_show, has_left = np.full(count, 365.0), np.ones(count), rng.random(count) < 0.5
    return VisitorArrays(frequency, recency, age, horizon, age - recency, spent, no_show, has_left)


def test_a_club_is_shrunk_to_the_pool_and_the_pool_to_the_prior() -> None:
    clubs = {"large": visitors(3_000), "small": visitors(4, mean_wait=300.0)}
    fits = fit_visits(clubs)
    both = [np.concatenate(parts) for parts in zip(*(each[:3] for each in clubs.values()), strict=True)]
    pool = fit_mbg_nbd(*both, prior=PRIOR)
    assert fits[POOLED_TENANT_ID] == pytest.approx(pool)
    assert fits["small"] == pytest.approx(fit_mbg_nbd(*clubs["small"][:3], prior=pool))
    assert np.abs(np.log(np.divide(fits["small"][:4], pool[:4]))).max() < 1.0


def test_without_anybody_anywhere_the_pool_is_the_prior() -> None:
    assert fit_visits({})[POOLED_TENANT_ID][:4] == pytest.approx(PRIOR[:4])


def test_at_most_so_many_are_sampled_and_of_every_club_the_same_share(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def fit(*visits: object, prior: object) -> object:
        seen.append(len(visits[0]))  # type: ignore[arg-type]
        return prior

    monkeypatch.setattr(fit_module, "MAX_SAMPLE_SIZE", 100)
    monkeypatch.setattr(fit_module, "fit_mbg_nbd", fit)
    fit_visits({"large": visitors(300), "small": visitors(60), "tiny": visitors(40)})
    assert seen == [75 + 15 + 10, 100, 60, 40]


def test_a_forecast_is_each_clubs_own_for_its_own_horizon() -> None:
    clubs = {"one": visitors(50)._replace(horizon=np.full(50, 90.0))}
    fits = fit_visits(clubs)
    expected = predict_horizon_churn(fits["one"], *clubs["one"][:3], 90.0)
    np.testing.assert_array_equal(forecast_churn(clubs, fits)["one"], expected)


def test_who_has_planned_a_visit_is_forecast_no_more_than_the_chance_that_it_comes_to_nothing() -> None:
    clubs = {"one": visitors(50)._replace(no_show=np.where(np.arange(50) % 2, 0.1, 1.0))}
    fits = fit_visits(clubs)
    found, model = forecast_churn(clubs, fits)["one"], predict_horizon_churn(fits["one"], *clubs["one"][:3], 365.0)
    np.testing.assert_array_equal(found[::2], model[::2])
    np.testing.assert_array_equal(found[1::2], np.minimum(model[1::2], 0.1))
    assert (found[1::2] < model[1::2]).any()


def test_below_a_hundred_repeaters_spend_is_the_pools_in_the_clubs_own_money() -> None:
    yen, euro = visitors(2_000, cents=900_000.0, seed=1), visitors(90, cents=4_000.0, seed=2)
    found = fit_spend({"yen": yen, "euro": euro})
    assert found["euro"].repeaters < 100 < found["yen"].repeaters
    own, pooled = found["yen"].params, found["euro"].params
    assert own is not None
    assert pooled is not None
    came_back = yen.frequency > 0
    assert own == fit_gamma_gamma(yen.frequency[came_back] + 1, yen.mean_value[came_back])
    assert pooled.p * pooled.v / (pooled.q - 1) == pytest.approx(4_000, rel=0.1)
    assert pooled[:2] == pytest.approx(own[:2], rel=0.5)


def test_where_nobody_paid_twice_there_is_no_spend_to_predict() -> None:
    once = visitors(30)._replace(frequency=np.zeros(30))
    assert fit_spend({"club": once})["club"] == (None, 0)
    assert fit_spend({"club": once._replace(mean_value=np.zeros(30))})["club"] == (None, 0)


def test_a_tier_is_shrunk_to_its_club_and_a_club_to_all() -> None:
    count = 12_000
    tier = np.array((["Gold"] * 5_999 + ["Junior"] * 5_999 + [None] * 2), dtype=np.object_)
    lapsed = np.where(tier == "Junior", np.arange(count) % 2, np.arange(count) % 20 == 0).astype(np.float64)
    club = MemberArrays(np.ones(count), np.zeros((count, len(MEMBER_TERM_CODES))), lapsed)
    few = MemberArrays(np.ones(2), np.zeros((2, len(MEMBER_TERM_CODES))), np.zeros(2))
    found = fit_members({"club": club, "few": few}, {"club": tier, "few": np.array([None, "Gold"], dtype=np.object_)})
    pool, (renewal, tiers) = found[POOLED_TENANT_ID][0], found["club"]

    def first(fit: RenewalParameters) -> float:
        return float(compute_renewal_hazard(1, *fit[:2]))

    assert first(tiers["Gold"]) == pytest.approx(0.05, abs=0.02)
    assert first(tiers["Junior"]) == pytest.approx(0.5, abs=0.04)
    assert first(renewal) == pytest.approx(lapsed.mean(), abs=0.02)
    assert first(found["few"][0]) == pytest.approx(first(pool), abs=0.06)
    assert set(found["few"][1]) == {"Gold"}


def test_without_members_anywhere_the_prior_stays() -> None:
    assert fit_members({}, {}) == {POOLED_TENANT_ID: (RenewalParameters(), {})}
