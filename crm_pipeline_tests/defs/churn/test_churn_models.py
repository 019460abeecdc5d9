"""The weekly fit on the sample clubs: what it stores and shows, and that the refresh applies it and never fits."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import pytest

from crm_pipeline.cli.options import override_environment
from crm_pipeline.definitions import build_defs
from crm_pipeline.domain.churn.mbg_nbd import PRIOR
from crm_pipeline.domain.churn.parameters import POOLED_TENANT_ID
from crm_pipeline.resources.connections import open_lake
from crm_pipeline.sample import generate_sample
from crm_pipeline.tables.outputs.churn import churn_backtests, churn_models
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.runs import CLUBS, fit
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import AS_OF, clean_environment, refresh

NEXT_DAY, NEXT_WEEK = "2026-04-01T12:00:00Z", "2026-04-07T12:00:00Z"
SCORES = "select tenant_id, id, churn_risk_score, predicted_value_12m from {table} where churn_basis = 'TRANSACTIONAL'"


class Fitted(NamedTuple):
    """A home whose models are fitted, and the metadata of each asset."""

    home: Path
    shown: dict[str, Any]


def read_rows(home: Path, query: str, table: Any = churn_models) -> list[tuple[Any, ...]]:  # noqa: ANN401
    """Returns the rows of a query on a table of the lake."""
    with clean_environment():
        lake = open_lake(override_environment(home))
    with closing(lake.connect()) as con:
        return con.sql(query.format(table=lake.create_current_view(con, table)) + " order by all").fetchall()


@pytest.fixture(scope="module")
def fitted(first_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fitted]:
    """A home that is fitted once for all tests here."""
    with copied(first_run, tmp_path_factory.mktemp("fitted") / "home") as home:
        yield Fitted(home, fit(home))


def test_a_refresh_never_fits(sample_home: Path) -> None:
    assert read_rows(sample_home, "from {table}") == []
    with clean_environment():
        job = build_defs(override_environment(sample_home)).resolve_job_def("refresh")
    assert not {"churn_model", "churn_backtest"} & {key.path[-1] for key in job.asset_layer.executable_asset_keys}


def test_every_club_and_the_pool_have_a_model_and_a_backtest(fitted: Fitted) -> None:
    home = fitted.home
    assert read_rows(home, "select tenant_id, fitted_at::varchar from {table}") == [
        (tenant, "2026-03-31 12:00:00+00") for tenant in (POOLED_TENANT_ID, *CLUBS)
    ]
    backtests = read_rows(
        home, "select tenant_id, horizon_days, golfers > 0, brier between 0 and 1 from {table}", churn_backtests
    )
    assert set(backtests) >= {(POOLED_TENANT_ID, 90, True, True), (POOLED_TENANT_ID, 365, True, True)}
    (_, r, visitors), *clubs = read_rows(home, "select tenant_id, r, visitors from {table}")
    assert visitors == sum(of_club for *_, of_club in clubs) > 0
    assert r != PRIOR.r


def test_the_ui_shows_parameters_measures_and_a_plot(fitted: Fitted) -> None:
    shown = fitted.shown
    assert set(shown) == {"churn_model", "churn_backtest"}
    parameters = [record.data for record in shown["churn_model"]["parameters"].records]
    assert {row["club"] for row in parameters} == {"all clubs", *CLUBS}
    assert all(row[name] > 0 for row in parameters for name in ("r", "alpha", "a", "b"))
    for name, measures in {"brier": {"forecast", "base_rate", "recency"}, "auc": {"forecast", "recency"}}.items():
        first, *_ = [record.data for record in shown["churn_backtest"][name].records]
        assert (first["club"], first["days"]) == ("all clubs", 90)
        assert first.keys() >= measures
        assert first["forecast"] == shown["churn_backtest"][f"{name}/90_days"].value
    plot = shown["churn_backtest"]["calibration"]
    assert isinstance(plot, dg.MarkdownMetadataValue)
    assert plot.value.startswith("![")
    assert "data:image/png;base64,iVBOR" in plot.value
    assert len(plot.value) < 80_000
    assert all(shown[name]["dagster/row_count"].value > 0 for name in shown)


def test_a_club_whose_fit_does_not_beat_recency_has_another_and_the_ui_says_so(fitted: Fitted) -> None:
    shown = fitted.shown["churn_model"]
    rows = {row.data["club"]: row.data for row in shown["models"].records}
    fallbacks = dict(read_rows(fitted.home, "select tenant_id, is_fallback from {table}"))
    for club, row in rows.items():
        assert row["beats_recency"] == "yes" or row["visits_from"] != "own fit"
        assert (row["visits_from"] == "own fit") == (fallbacks[club.replace("all clubs", "")] is False)
    judged = read_rows(
        fitted.home,
        """select tenant_id, if(brier < brier_base_rate, 'yes', 'no'), if(brier < brier_recency, 'yes', 'no')
        from {table} where horizon_days = 365""",
        churn_backtests,
    )
    assert {
        (tenant or "all clubs", *(rows[tenant or "all clubs"][name] for name in ("beats_base_rate", "beats_recency")))
        for tenant, *_ in judged
    } == {(tenant or "all clubs", *beats) for tenant, *beats in judged}
    assert shown["pool_is_the_stated_prior"].value is (rows["all clubs"]["visits_from"] == "stated prior")


def test_the_next_refresh_applies_the_fit_and_one_of_an_earlier_hour_does_not(fitted: Fitted) -> None:
    home = fitted.home
    before = read_rows(home, SCORES, customer_profiles)
    assert refresh(home).failures == []
    applied = read_rows(home, SCORES, customer_profiles)
    assert {row[:2] for row in applied} == {row[:2] for row in before}
    assert applied != before
    assert refresh(home).published_rows == 0


@pytest.mark.skipif(not SOAK, reason="a fit and a run more: make soak")
def test_a_fit_of_a_later_hour_changes_nothing_yet(refreshed: Path) -> None:
    fit(refreshed, NEXT_DAY)
    assert refresh(refreshed).published_rows == 0


@pytest.mark.skipif(not SOAK, reason="three fits: make soak")
def test_every_version_stays_and_a_fit_made_again_is_the_same(refreshed: Path) -> None:
    fit(refreshed)
    first = read_rows(refreshed, "select * exclude (_version) from {table}")
    again = fit(refreshed)
    assert [shown["changed_rows"].value for shown in again.values()] == [0, 0]
    fit(refreshed, NEXT_WEEK)
    both = read_rows(refreshed, "select * exclude (_version) from {table}")
    assert len(both) == 2 * len(first)
    assert set(first) < set(both)


@pytest.mark.skipif(not SOAK, reason="half a minute of clubs made up and refreshed: make soak")
def test_lapses_of_made_up_golfers_are_forecast_better_than_by_both_simpler_forecasts(
    own_home: Path, tmp_path: Path
) -> None:
    """`python -m benchmarks.backtest` tests the same on forty clubs."""
    until = datetime.fromisoformat(AS_OF)
    generate_sample(tenants=2, people=900, events=15_000, seed=1, out=tmp_path / "sources", until=until)
    assert refresh(own_home, tmp_path / "sources").failures == []
    fit(own_home)
    query = (
        "select brier < brier_base_rate and brier < brier_recency from {table} where tenant_id = '' or golfers >= 200"
    )
    assert set(read_rows(own_home, query, churn_backtests)) == {(True,)}
