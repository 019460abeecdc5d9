"""Hours with few changes: changed rows are evaluated, failures are counted among all rows, the rest is skipped."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table

from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.tables.sources.messaging import contact
from crm_pipeline_tests.fixtures.homes.runs import CLUBS, HEATHER, evaluated, keep_in_lake, publish_alone, runs, said
from crm_pipeline_tests.fixtures.homes.support import ask

ONE = "{key} = min({key}) over ()"
LATER_THAT_DAY, THE_NEXT_DAY = "2026-03-31T23:00:00Z", "2026-04-01T00:00:00Z"
FAILED = """
    select suite, expectation, unexpected_count, rows from crm.data_quality_results
    where not success and tenant_id = 'heather-moor' order by all"""
EVALUATED_BY = "select distinct run_id from crm.data_quality_results"


def change_one(home: Path, value: str, column: str, table: Table = customer_profiles, key: str = "id") -> None:
    """Changes one row of Heather Moor in the lake."""
    values = f"if({ONE.format(key=key)}, {value}, {column}) as {column}"
    keep_in_lake(home, {HEATHER: values}, table)


def number(home: Path, table: str) -> int:
    ((rows,),) = ask(home, f"select count(*) from crm.{table} where tenant_id = '{HEATHER}'")
    return int(rows)


def reported(home: Path, run_id: str) -> set[tuple[str, str]]:
    """Returns the tables and tenants whose evaluations a run reported to Dagster."""
    return set(evaluated(home, run_id))


def failed(home: Path) -> list[tuple[Any, ...]]:
    return ask(home, FAILED.replace("order by all", "order by 1, 2"))


def test_a_change_that_breaks_nothing_is_published_and_no_result_is_another(refreshed: Path) -> None:
    change_one(refreshed, "'renamed'", "display_name")
    result = publish_alone(refreshed, as_of=LATER_THAT_DAY)
    assert result.success
    found = ask(refreshed, "select tenant_id from crm.customer_profiles where display_name = 'renamed'")
    assert found == [(HEATHER,)]
    assert reported(refreshed, result.run_id) == set()
    assert ask(refreshed, EVALUATED_BY) == [(runs(refreshed)[0].run_id,)]


def test_a_full_evaluation_comes_once_a_day(refreshed: Path) -> None:
    change_one(refreshed, "'renamed'", "display_name")
    result = publish_alone(refreshed, as_of=THE_NEXT_DAY)
    assert result.success
    both = ("customer_profiles", "customer_timeline")
    assert reported(refreshed, result.run_id) == {(table, club) for table in both for club in CLUBS}


def test_a_changed_row_that_breaks_an_expectation_is_found_and_counted_among_all(refreshed: Path) -> None:
    change_one(refreshed, "101", "engagement_score")
    result = publish_alone(refreshed)
    assert said(result) == f"not published, last published data kept: {HEATHER} (customer_profiles: scores_in_range)"
    rows = number(refreshed, "customer_profiles")
    assert failed(refreshed) == [("customer_profiles", "scores_in_range", 1, rows)]
    assert reported(refreshed, result.run_id) == {("customer_profiles", HEATHER)}


def test_a_table_that_failed_is_evaluated_again_though_it_is_again_as_published(refreshed: Path) -> None:
    ((score,),) = ask(
        refreshed,
        f"select engagement_score from crm.customer_profiles where tenant_id = '{HEATHER}' order by id limit 1",
    )
    change_one(refreshed, "101", "engagement_score")
    assert not publish_alone(refreshed).success
    change_one(refreshed, str(score), "engagement_score")
    assert publish_alone(refreshed).success
    assert failed(refreshed) == []


PROFILES, TIMELINE = "customer_profiles", "customer_timeline"
DISAGREEMENTS = {
    "lifetime_value_adds_up": (customer_profiles, "id", "lifetime_value + 1", "lifetime_value", 1, PROFILES),
    "event_has_a_profile": (customer_timeline, "event_id", "uuid()::varchar", "profile_id", 1, TIMELINE),
    "consent_is_messagings": (contact, "id", "not email_opt_in", "email_opt_in", 1, PROFILES),
}


@pytest.mark.parametrize("expectation", DISAGREEMENTS)
def test_a_disagreement_is_found_in_a_profile_that_changed_or_should_have(refreshed: Path, expectation: str) -> None:
    table, key, value, column, broken, table_with_rows = DISAGREEMENTS[expectation]
    change_one(refreshed, value, column, table, key)
    if table is contact:  # in an hour in which something else is published of the club
        change_one(refreshed, "'renamed'", "display_name")
    assert f"tables_agree: {expectation}" in said(publish_alone(refreshed))
    found = {name: (count, rows) for suite, name, count, rows in failed(refreshed) if suite == "tables_agree"}
    assert found[expectation] == (broken, number(refreshed, table_with_rows))


def test_an_event_that_passes_to_another_profile_is_missed_where_it_was(refreshed: Path) -> None:
    paid = "source = 'SCL' and event_type = 'PAYMENT'"
    passed = f"if(event_id = min(event_id) filter ({paid}) over (), max(profile_id) over (), profile_id) as profile_id"
    keep_in_lake(refreshed, {HEATHER: passed}, customer_timeline)
    assert "tables_agree: lifetime_value_adds_up" in said(publish_alone(refreshed))
    assert ("tables_agree", "lifetime_value_adds_up", 2, number(refreshed, "customer_profiles")) in failed(refreshed)
