"""The document of `explain` equals the published tables field by field, and every score in it adds up."""

import math
import re
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from crm_pipeline.cli.options import override_environment
from crm_pipeline.explain.document import build_profile_document
from crm_pipeline.explain.formatting import format_parts_and_total, to_json_value
from crm_pipeline.explain.lake_reader import PersonRecords
from crm_pipeline.explain.warehouse_reader import read_published_tenant
from crm_pipeline.resources.connections import open_lake
from crm_pipeline_tests.fixtures.homes.support import ask, clean_environment
from crm_pipeline_tests.fixtures.worlds.world import AS_OF
from crm_pipeline_tests.fixtures.worlds.world_rows import SAGUARO

CLUB = SAGUARO.slug
PHOENIX = ZoneInfo(SAGUARO.country.timezone)
HABITS: dict[str, tuple[int, int, int, dict[str, float]]] = {
    "play": (40, 30, 2, {"ROUND_PLAYED": 1, "BOOKED": 0.5, "COMPETITION": 1.5, "HANDICAP_UPDATE": 0.5}),
    "spend": (20, 90, 1, {"PAYMENT": 1}),
    "message": (25, 30, 2, {"CLICK": 1, "CAMPAIGN_RESPONSE": 1.5, "OPEN": 0.25}),
}
"""Cap, half-life, half-saturation and weights as docs/numbers.md has them."""
TIME = re.compile(r"\d{4}-\d\d-\d\dT")


@pytest.fixture(scope="module")
def people(sample_home: Path) -> dict[str, dict[str, Any]]:
    """Returns the document of each profile of the club, by profile id."""
    rows = ask(sample_home, f"select id from crm.customer_profiles where tenant_id = '{CLUB}'")
    with clean_environment():
        settings = override_environment(sample_home)
        with read_published_tenant(settings, CLUB) as published, closing(open_lake(settings).connect()) as con:
            known = PersonRecords.load(con, open_lake(settings), CLUB, published.as_of)
            return {str(id_): to_json_value(build_profile_document(published, known, str(id_))) for (id_,) in rows}


def stored(home: Path, table: str) -> list[dict[str, Any]]:
    """Returns the club's published rows, read by plain SQL, as JSON with times in one spelling."""
    query = f"select to_jsonb(t) - 'row_hash' from crm.{table} t where tenant_id = '{CLUB}'"
    return [in_one_spelling(row) for (row,) in ask(home, query)]


def in_one_spelling(row: dict[str, Any]) -> dict[str, Any]:
    return {key: _utc(value) if isinstance(value, str) else value for key, value in row.items()}


def _utc(value: str) -> str:
    return datetime.fromisoformat(value).astimezone(UTC).isoformat() if TIME.match(value) else value


def by(key: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row[key]))


def test_every_column_of_the_profile_is_in_the_document_as_published(
    sample_home: Path, people: dict[str, dict[str, Any]]
) -> None:
    rows = stored(sample_home, "customer_profiles")
    assert len(rows) == len(people) > 70
    for row in rows:
        fields = people[row["id"]]["fields"]
        assert in_one_spelling({name: field["value"] for name, field in fields.items()}) == row


def test_every_link_and_every_event_is_in_the_document_as_published(
    sample_home: Path, people: dict[str, dict[str, Any]]
) -> None:
    links = stored(sample_home, "customer_identities")
    records = [row for one in people.values() for row in one["records"]]
    ours = [{key: row[key] for key in links[0]} for row in records]
    assert by("service_record_id", ours) == by("service_record_id", links)
    events = stored(sample_home, "customer_timeline")
    timeline = [event for one in people.values() for event in one["timeline"]]
    assert by("event_id", [in_one_spelling(event) for event in timeline]) == by("event_id", events)


def test_every_open_question_and_every_id_is_in_some_document(
    sample_home: Path, people: dict[str, dict[str, Any]]
) -> None:
    for part, query in (
        ("reviews", f"select review_id as id from crm.identity_reviews where tenant_id = '{CLUB}'"),
        ("events", f"select event_id as id from crm.profile_events where tenant_id = '{CLUB}'"),
        ("ids", f"select profile_id as id from crm.profile_ids where tenant_id = '{CLUB}'"),
    ):
        key = {"reviews": "review_id", "events": "event_id", "ids": "profile_id"}[part]
        documented = {row[key] for one in people.values() for row in (one | one["id_history"])[part]}
        assert documented == {str(row[0]) for row in ask(sample_home, query)}


def test_engagement_reasons_add_up_to_the_score(people: dict[str, dict[str, Any]]) -> None:
    scored = [one["numbers"]["engagement"] for one in people.values()]
    assert len({one["score"] for one in scored}) > 10
    for one in scored:
        assert one["unrounded"] == pytest.approx(sum(part["points"] for part in one["parts"]), abs=1e-9)
        assert one["score"] == math.floor(0.5 + one["unrounded"])
        *shown, total = re.findall(r"[\d.]+", one["words"].partition(", rounded")[0])
        assert sum(map(Decimal, shown)) == Decimal(total)
        assert one["score"] == math.floor(Decimal("0.5") + Decimal(total))
        assert shown == [part["shown"] for part in one["parts"]]


def test_the_points_of_a_habit_come_from_the_events_it_names(people: dict[str, dict[str, Any]]) -> None:
    today = AS_OF.astimezone(PHOENIX).date()
    for one in people.values():
        parts = {part["name"]: part for part in one["numbers"]["engagement"]["parts"]}
        for name, (cap, half_life, half, weights) in HABITS.items():
            events = [event for event in one["timeline"] if event["counts_as"] in weights]
            days = [datetime.fromisoformat(event["occurred_at"]).astimezone(PHOENIX).date() for event in events]
            decayed = sum(
                weights[event["counts_as"]] * 2 ** (-(today - day).days / half_life)
                for event, day in zip(events, days, strict=True)
            )
            assert parts[name]["points"] == pytest.approx(cap * (1 - 2 ** (-decayed / half)), abs=1e-6)
            assert sum(parts[name]["events"].values()) == len(events)


def test_churn_reasons_of_a_member_add_up_in_percentage_points(people: dict[str, dict[str, Any]]) -> None:
    risks = [one["numbers"]["churn"] for one in people.values()]
    assert {one["basis"] for one in risks} == {"MEMBER", "TRANSACTIONAL", "NO_SIGNAL"}
    for one in risks:
        if one["parts"]:
            assert one["score"] == math.floor(0.5 + sum(part["points"] for part in one["parts"]))
            odds = sum(reason["log_odds"] for reason in one["reasons"])
            assert one["unrounded"] == pytest.approx(100 / (1 + math.exp(-odds)))
        assert one["words"]
        assert (one["score"] is None) == (one["basis"] == "NO_SIGNAL")


def test_a_members_predicted_value_is_the_fee_times_the_chance_to_stay(people: dict[str, dict[str, Any]]) -> None:
    checked = 0
    for one in people.values():
        risk, predicted = one["numbers"]["churn"], one["numbers"]["predicted_value_12m"]
        members = [row for row in one["records"] if row["service"] == "SCL" and row["is_primary"]]
        fees = [row["held"]["yearly_fee_cents"] for row in members]
        if risk["basis"] == "MEMBER" and fees and fees[0] and predicted["cents"] is not None:
            assert predicted["cents"] == math.floor(0.5 + fees[0] * (1 - risk["unrounded"] / 100))
            checked += 1
    assert checked > 10


def test_counts_and_money_are_the_events_they_name(people: dict[str, dict[str, Any]]) -> None:
    for one in people.values():
        numbers = one["numbers"]
        for name in ("activity_count_30d", "booking_count_30d"):
            assert numbers[name]["count"] == sum(numbers[name]["of"].values()) == one["fields"][name]["value"]
        money = numbers["lifetime_value"]
        assert money["cents"] == max(0, money["paid_cents"] - money["refunded_cents"])
        last = numbers["last_activity_at"]
        assert (last["at"] is None) == (last["event_id"] is None)
        if last["at"]:
            (event,) = (event for event in one["timeline"] if event["event_id"] == last["event_id"])
            assert event["occurred_at"] == last["at"]


def test_every_stage_and_status_is_borne_out_by_facts(people: dict[str, dict[str, Any]]) -> None:
    """The words for a stage come from the facts that its rule needs: without facts, the rule does not hold."""
    stages = {one["numbers"]["lifecycle_stage"]["stage"] for one in people.values()}
    assert stages == {"ADVOCATE", "MEMBER", "CHURNED", "CUSTOMER", "PROSPECT", "LEAD", "SUBSCRIBER"}
    for one in people.values():
        because = one["numbers"]["lifecycle_stage"]["because"]
        assert because
        assert not because.startswith((", who has paid", "a membership ended"))


@pytest.mark.parametrize("parts", [[0.0], [33.33, 33.33, 33.34], [9.96, 0.0, 0.04], [0.05] * 9, [39.999999, 10.0, 5.0]])
def test_what_is_shown_adds_up_and_rounds_like_the_score(parts: list[float]) -> None:
    shown, total = format_parts_and_total(parts)
    assert sum(map(Decimal, shown)) == Decimal(total)
    assert all(abs(Decimal(one) - Decimal(part)) <= Decimal("0.1") for one, part in zip(shown, parts, strict=True))
    assert math.floor(Decimal("0.5") + Decimal(total)) == math.floor(0.5 + sum(parts))
