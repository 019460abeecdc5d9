"""What the sample clubs show a newcomer: every field, stage, rule and event the CRM knows, in PostgreSQL."""

from pathlib import Path

import pytest

from crm_pipeline.vocabulary import CustomerStatus, EventType, LifecycleStage, LinkRule
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import ask, refresh

INTERFACE = """
    id tenant_id auth_user_id email phone_number scl_member_id teetime_player_id messaging_contact_id first_name
    last_name display_name status lifecycle_stage tags engagement_score churn_risk_score lifetime_value
    last_activity_at activity_count_30d booking_count_30d handicap home_club_id membership_tier membership_status
    email_opt_in sms_opt_in push_opt_in whatsapp_opt_in"""
"""The fields of the user's CustomerProfile."""


@pytest.mark.parametrize("field", INTERFACE.split())
def test_every_field_of_the_interface_is_filled_for_somebody(sample_home: Path, field: str) -> None:
    assert ask(sample_home, f"select count(*) from crm.customer_profiles where {field} is not null") > [(0,)]


def test_every_stage_status_and_rule_occurs(sample_home: Path) -> None:
    stages = {row[0] for row in ask(sample_home, "select lifecycle_stage from crm.customer_profiles")}
    statuses = {row[0] for row in ask(sample_home, "select status from crm.customer_profiles")}
    rules = {row[0] for row in ask(sample_home, "select rule from crm.customer_identities")}
    assert (stages, statuses, rules) == (set(LifecycleStage), set(CustomerStatus), set(LinkRule))


def test_every_kind_of_event_occurs_but_changes_that_take_a_second_run(sample_home: Path) -> None:
    kinds = {row[0] for row in ask(sample_home, "select event_type from crm.customer_timeline")}
    assert kinds == set(EventType) - {EventType.STAGE_CHANGED}


@pytest.mark.parametrize("table", ["customer_identities", "customer_timeline"])
def test_every_record_and_every_event_is_on_a_profile(sample_home: Path, table: str) -> None:
    profiles = "select from crm.customer_profiles p where p.tenant_id = t.tenant_id and p.id = t.profile_id"
    assert ask(sample_home, f"select count(*) from crm.{table} t where not exists ({profiles})") == [(0,)]


def test_money_on_the_timeline_is_the_profiles_lifetime_value(sample_home: Path) -> None:
    assert (
        ask(
            sample_home,
            """select p.tenant_id, p.id from crm.customer_profiles p left join crm.customer_timeline t
            on t.tenant_id = p.tenant_id and t.profile_id = p.id group by p.tenant_id, p.id
            having p.lifetime_value <> greatest(0, coalesce(sum(t.amount_cents), 0))""",
        )
        == []
    )


@pytest.mark.skipif(not SOAK, reason="a second whole run; test_stage_changes has it in small: make soak")
def test_months_later_ids_stay_and_stages_that_changed_are_events(refreshed: Path) -> None:
    ids = "select tenant_id, id from crm.customer_profiles order by 1, 2"
    before = ask(refreshed, ids)
    stages = ask(refreshed, "select tenant_id, id, lifecycle_stage from crm.customer_profiles")
    outcome = refresh(refreshed, as_of="2026-09-30T12:00:00Z")
    assert outcome.failures == []
    assert ask(refreshed, ids) == before
    changed = set(ask(refreshed, "select tenant_id, id, lifecycle_stage from crm.customer_profiles")) - set(stages)
    events = ask(
        refreshed,
        """select tenant_id, profile_id, details ->> 'to_stage' from crm.customer_timeline
        where event_type = 'STAGE_CHANGED' and occurred_at = '2026-09-30T12:00:00Z'""",
    )
    assert changed
    assert sorted(events) == sorted(changed)
