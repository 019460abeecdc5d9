"""The fitted model applied: versions, clubs without one, several clubs in one batch, and a winter that is no churn."""

import json
from datetime import timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from crm_pipeline.domain.as_of import define_as_of
from crm_pipeline.domain.churn.gamma_gamma import GammaGamma, predict_mean_value
from crm_pipeline.domain.churn.mbg_nbd import MbgNbd, predict_horizon_churn, predict_transactions
from crm_pipeline.domain.churn.parameters import (
    POOLED_TENANT_ID,
    ChurnModels,
    TenantModel,
    broadcast_parameters,
    load_models,
)
from crm_pipeline.domain.churn.renewal import PRIOR_LOG_ODDS, predict_member_churn
from crm_pipeline.domain.churn.renewal_fit import RenewalParameters
from crm_pipeline.domain.churn.seasonality import UNIFORM_MONTH_FACTORS
from crm_pipeline.domain.churn.train import TrainedModel, TrainingResult, build_model_rows
from crm_pipeline.tables.sources import scl, teetime
from crm_pipeline_tests.fixtures.worlds.scene import ANN, AS_OF, CLUB, Scene, ago

VISITS = MbgNbd(0.7, 45.0, 0.4, 1.1, -123.5)
MEMBERS = RenewalParameters(0.5, 3.0, {**PRIOR_LOG_ODDS, "suspended": 0.9})
FITTED = TenantModel(
    VISITS,
    GammaGamma(4.0, 3.0, 2_500.0),
    (0.1, 0.2, *UNIFORM_MONTH_FACTORS[2:]),
    MEMBERS,
    {"Gold": RenewalParameters(0.2, 4.0, MEMBERS.log_odds)},
)
WINTER = (0.1, 0.1, 0.1, *[1.45] * 9)


def store_models(*versions: tuple[str, TenantModel, float]) -> duckdb.DuckDBPyConnection:
    """Returns a connection at AS_OF with relation churn_models: tenant, model and how many days ago it was fitted."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    define_as_of(con, AS_OF)
    rows = [
        build_model_rows(TrainingResult({t: TrainedModel(model, False, 1, 1, 1, 1, 1)}, {}), ago(days))
        for t, model, days in versions
    ]
    con.register("churn_models", pa.concat_tables(rows or [build_model_rows(TrainingResult({}, {}), AS_OF)]))
    return con


@pytest.mark.parametrize("model", [FITTED, FITTED._replace(spend=None, season=None, tiers={})])
def test_what_is_stored_is_what_is_applied(model: TenantModel) -> None:
    assert load_models(store_models(("club", model, 0))).select_model("club") == model


def test_the_latest_version_known_at_the_hour_applies() -> None:
    newer, older = (FITTED._replace(visits=VISITS._replace(r=r)) for r in (2.0, 1.0))
    con = store_models(("club", older, 14), ("club", newer, 7), ("club", FITTED, -0.001))
    assert load_models(con).select_model("club") == newer


@pytest.mark.parametrize("version", ["null::bigint", "1", "3"])
def test_a_version_fitted_by_other_rules_is_not_applied(version: str) -> None:
    con = store_models(("club", FITTED, 7), (POOLED_TENANT_ID, FITTED, 7))
    con.execute(f"""
        create table stored as select * replace (if(tenant_id = 'club', {version}, rules_version) as rules_version)
        from churn_models""")
    con.unregister("churn_models")
    con.execute("alter table stored rename to churn_models")
    con.execute("update churn_models set r = 9 where tenant_id = 'club'")
    assert load_models(con).select_model("club") == FITTED


def test_a_club_without_a_model_has_the_pools_and_without_any_fit_the_prior() -> None:
    assert load_models(store_models((POOLED_TENANT_ID, FITTED, 3))).select_model("new club") == FITTED
    assert load_models(store_models()).select_model("new club") == TenantModel()


def test_clubs_together_are_scored_as_each_alone() -> None:
    models = ChurnModels({"a": FITTED, "b": TenantModel()})
    club, tier = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    parameters = broadcast_parameters(models, ["a", "b"], club, ["Gold", None], tier)
    x, recency, age = (
        np.array([0.0, 3.0, 400.0, 0.0]),
        np.array([0.0, 90.0, 700.0, 0.0]),
        np.array([5.0, 100.0, 730.0, 9.0]),
    )
    for function in (predict_horizon_churn, predict_transactions):
        together = function(parameters.visits, x, recency, age)
        alone = [
            float(function(models.select_model("ab"[c]).visits, *v))
            for c, *v in zip(club, x, recency, age, strict=True)
        ]
        np.testing.assert_array_equal(together, alone)
    spend = predict_mean_value(parameters.spend, [2, 2, 0, 0], [3_000.0, 3_000.0, 0.0, 0.0])
    assert spend.tolist() == [
        float(predict_mean_value(FITTED.spend, 2, 3_000.0)),
        3_000.0,
        float(predict_mean_value(FITTED.spend, 0, 0.0)),
        0.0,
    ]
    risk = predict_member_churn(
        np.ones(4), {"suspended": [True] * 4}, parameters.gamma, parameters.delta, parameters.log_odds
    ).probability
    gold = predict_member_churn(1, {"suspended": True}, 0.2, 4.0, MEMBERS.log_odds).probability
    none = predict_member_churn(1, {"suspended": True}, 0.5, 3.0, MEMBERS.log_odds).probability
    by_prior = float(predict_member_churn(1, {"suspended": True}).probability)
    assert risk.tolist() == [float(gold), by_prior, float(none), by_prior]


def scene(model: TenantModel | None) -> Scene:
    made = Scene(models=ChurnModels({CLUB: model} if model else {}))
    for days in (330, 200, 150):
        made.add(
            teetime.booking, "golfer", status="PLAYED", tee_time_at=ago(days), price_cents=4_000, paid_at=ago(days)
        )
    made.add(scl.member, "gold", membership_status="SUSPENDED", membership_tier="Gold", joined_at=ago(10))
    made.add(scl.member, "other", membership_status="SUSPENDED", membership_tier="Blue", joined_at=ago(10))
    return made


def test_a_refresh_scores_by_the_clubs_parameters() -> None:
    profiles = scene(FITTED._replace(season=None)).refresh().profiles
    visits = (2, 180, 330)
    golfer = profiles["golfer"]
    assert golfer["churn_risk_score"] == round(100 * float(predict_horizon_churn(VISITS, *visits)))
    spend = float(predict_mean_value(FITTED.spend, 3, 4_000.0))
    assert golfer["predicted_value_12m"] == int(0.5 + spend * float(predict_transactions(VISITS, *visits)))
    assert profiles["gold"]["churn_risk_score"] < profiles["other"]["churn_risk_score"]
    assert '"log_odds":0.9' in profiles["gold"]["churn_reasons"]


def test_winter_is_no_churn() -> None:
    """Nobody has played since the end of October, five months before."""
    plain, seasonal = (scene(TenantModel(season=season)).profile("golfer") for season in (None, WINTER))
    assert seasonal["churn_risk_score"] < plain["churn_risk_score"]
    assert seasonal["churn_reasons"] == plain["churn_reasons"]
    assert seasonal["engagement_score"] == plain["engagement_score"]
    assert seasonal["lifecycle_stage"] == plain["lifecycle_stage"] == "CUSTOMER"


@pytest.mark.parametrize(("season", "is_sign"), [(None, True), (WINTER, False), ((3.0, 3.0, 3.0, *WINTER[3:]), True)])
def test_sixty_days_without_a_round_are_a_sign_in_season_only(season: tuple[float, ...] | None, is_sign: bool) -> None:
    made = Scene(models=ChurnModels({CLUB: TenantModel(season=season)}))
    made.add(scl.member, membership_status="ACTIVE", joined_at=ago(10))
    made.add(teetime.booking, status="PLAYED", tee_time_at=ago(60))
    assert ("no_play_60" in made.profile()["churn_reasons"]) == is_sign


YEAR_OFF = (0.0,) * 12


@pytest.mark.parametrize(
    ("season", "played", "term"),
    [
        (None, 180, "no_play_180"),
        (WINTER, 180, "no_play_60"),
        (WINTER, 330, "no_play_180"),
        (None, 365, "no_play_365"),
        ((2.0,) * 12, 364, "no_play_180"),
        (YEAR_OFF, 400, None),
    ],
)
def test_a_gap_in_play_reaches_its_bound_on_the_calendar_and_on_the_clock(
    season: tuple[float, ...] | None, played: float, term: str | None
) -> None:
    made = Scene(models=ChurnModels({CLUB: TenantModel(season=season)}))
    made.add(scl.member, membership_status="ACTIVE", joined_at=ago(10))
    made.add(teetime.booking, status="PLAYED", tee_time_at=ago(played))
    terms = [reason["term"] for reason in json.loads(made.profile()["churn_reasons"])]
    assert [each for each in terms if "play" in each] == ([term] if term else [])


@pytest.mark.parametrize(
    ("season", "days", "is_sign"),
    [(None, 181, True), (WINTER, 181, False), (WINTER, 270, True), ((2.0,) * 12, 180, False)],
)
def test_who_never_played_had_180_days_of_the_season_to_do_so(
    season: tuple[float, ...] | None, days: float, is_sign: bool
) -> None:
    made = Scene(models=ChurnModels({CLUB: TenantModel(season=season)}))
    made.add(scl.member, membership_status="ACTIVE", joined_at=ago(days))
    made.add(teetime.player, created_at=ago(900))
    assert ("never_played" in made.profile()["churn_reasons"]) == is_sign


def test_a_busy_month_does_not_make_sixty_days_shorter() -> None:
    made = Scene(models=ChurnModels({CLUB: TenantModel(season=(4.0,) * 12)}))
    made.add(scl.member, membership_status="ACTIVE", joined_at=ago(10))
    made.add(teetime.booking, status="PLAYED", tee_time_at=ago(59))
    assert "no_play_60" not in made.profile(ANN)["churn_reasons"]


def test_the_same_hour_and_model_give_the_same_bytes() -> None:
    first, again = (scene(FITTED).refresh() for _ in range(2))
    assert first == again
    assert scene(FITTED).refresh(AS_OF + timedelta(days=1)) != first
