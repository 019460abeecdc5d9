"""The fault each expectation is there for: how it comes about, by how many rows, and what else it then breaks."""

from datetime import timedelta
from typing import Final, NamedTuple

from crm_pipeline_tests.checks.clubs import PEOPLE, Fault, again, an_id, both, changed, gone
from crm_pipeline_tests.resources.warehouses import AS_OF

PROFILES, TIMELINE, LINKS = "given_profiles", "given_timeline", "given_identities"
FIVE: Final = range(5)
FIVE_EMAILS: Final = range(1, 11, 2)
NOBODY: Final = an_id(99)


class Planted(NamedTuple):
    """A fault, the rows that then break the expectation, and the other expectations it breaks."""

    fault: Fault
    rows: int = 1
    also: frozenset[str] = frozenset()


def _profile(*also: str, **values: object) -> Planted:
    return Planted(changed(PROFILES, (0,), **values), also=frozenset(also))


def _event(*also: str, **values: object) -> Planted:
    return Planted(changed(TIMELINE, (0,), **values), also=frozenset(also))


def _moved_to(stage: str) -> Planted:
    return Planted(changed(PROFILES, rows=FIVE, lifecycle_stage=stage), also=frozenset({"share_of_customer"}))


def _linked_by(rule: str) -> Planted:
    return Planted(changed(LINKS, rows=FIVE_EMAILS, rule=rule), also=frozenset({"linked_by_email"}))


OF_PROFILES: Final = {
    "id is present": _profile(
        "event_has_a_profile",
        "record_has_a_profile",
        "profile_has_a_record",
        "profile_names_its_primaries",
        "consent_is_messagings",
        "lifetime_value_adds_up",
        id=None,
    ),
    "status is present": _profile(status=None),
    "status is known": _profile(status="FRIENDLY"),
    "lifecycle_stage is present": _profile(lifecycle_stage=None),
    "lifecycle_stage is known": _profile(lifecycle_stage="VIP"),
    "tags is present": _profile(tags=None),
    "engagement_score is present": _profile("scores_in_range", engagement_score=None),
    "engagement_score is at least 0": _profile("scores_in_range", engagement_score=-1),
    "churn_basis is present": _profile("risk_has_a_basis", churn_basis=None),
    "churn_basis is known": _profile(churn_basis="HUNCH"),
    "lifetime_value is present": _profile("lifetime_value_adds_up", lifetime_value=None),
    "lifetime_value is at least 0": _profile("lifetime_value_adds_up", lifetime_value=-1),
    "currency is present": _profile(currency=None),
    "predicted_value_12m is at least 0": _profile(predicted_value_12m=-1),
    "activity_count_30d is present": _profile(activity_count_30d=None),
    "activity_count_30d is at least 0": _profile(activity_count_30d=-1),
    "booking_count_30d is present": _profile(booking_count_30d=None),
    "booking_count_30d is at least 0": _profile(booking_count_30d=-1),
    "email_opt_in is present": _profile("consent_is_messagings", email_opt_in=None),
    "sms_opt_in is present": _profile("consent_is_messagings", sms_opt_in=None),
    "push_opt_in is present": _profile("consent_is_messagings", push_opt_in=None),
    "whatsapp_opt_in is present": _profile("consent_is_messagings", whatsapp_opt_in=None),
    "identity_confidence is present": _profile("confidence_is_a_fraction", identity_confidence=None),
    "engagement_reasons is present": _profile(engagement_reasons=None),
    "field_sources is present": _profile(field_sources=None),
    "first_seen_at is present": _profile(first_seen_at=None),
    "updated_at is present": _profile(updated_at=None),
    "tenant_id, id is unique": Planted(again(PROFILES), rows=2),
    "scores_in_range": _profile(churn_risk_score=101),
    "risk_has_a_basis": _profile(churn_risk_score=None),
    "consent_has_a_contact": _profile("profile_names_its_primaries", messaging_contact_id=None),
    "confidence_is_a_fraction": _profile(identity_confidence=1.01),
}
OF_TIMELINE: Final = {
    "event_id is present": _event(event_id=None),
    "profile_id is present": _event("event_has_a_profile", "lifetime_value_adds_up", profile_id=None),
    "occurred_at is present": _event("happened_by_as_of", occurred_at=None),
    "source is present": _event("money_equals_scl", source=None),
    "source is known": _event("money_equals_scl", source="HEARSAY"),
    "event_type is present": _event("money_equals_scl", event_type=None),
    "event_type is known": _event("money_equals_scl", event_type="BIRTHDAY"),
    "service_record_id is present": _event(service_record_id=None),
    "counts_as is known": _event(counts_as="EVERYTHING"),
    "summary is present": _event(summary=None),
    "details is present": _event(details=None),
    "tenant_id, event_id is unique": Planted(
        again(TIMELINE), rows=2, also=frozenset({"money_equals_scl", "lifetime_value_adds_up"})
    ),
    "happened_by_as_of": _event(occurred_at=AS_OF + timedelta(microseconds=1)),
    "amount_has_a_currency": _event(currency=None),
}
OF_AGREEMENT: Final = {
    "event_has_a_profile": Planted(
        changed(TIMELINE, rows=(0, 1), profile_id=NOBODY), 2, frozenset({"lifetime_value_adds_up"})
    ),
    "record_has_a_profile": Planted(
        again(LINKS, service="CRM", service_record_id="l", profile_id=NOBODY),
        also=frozenset({"every_record_is_linked"}),
    ),
    "profile_has_a_record": Planted(
        again(
            PROFILES,
            id=NOBODY,
            scl_member_id=None,
            messaging_contact_id=None,
            email_opt_in=False,
            sms_opt_in=False,
            push_opt_in=False,
            whatsapp_opt_in=False,
            lifetime_value=0,
        )
    ),
    "record_has_one_profile": Planted(
        again(LINKS, profile_id=an_id(1)), 2, frozenset({"one_primary_per_service", "one_anchor_per_profile"})
    ),
    "every_record_is_linked": Planted(again("scl_member", id=99)),
    "one_primary_per_service": Planted(
        changed(LINKS, is_primary=False), also=frozenset({"profile_names_its_primaries"})
    ),
    "one_anchor_per_profile": Planted(changed(LINKS, rule="EMAIL"), rows=2),
    "profile_names_its_primaries": _profile(scl_member_id=1),
    "consent_is_messagings": Planted(changed("messaging_contact", sms_opt_in=False)),
    "lifetime_value_adds_up": _profile(lifetime_value=501),
    "money_equals_scl": Planted(gone("scl_payment")),
}
OVER_TIME: Final = {
    "profiles": Planted(
        both(*(again(PROFILES, id=an_id(50 + n)) for n in FIVE)),
        also=frozenset(
            {
                "profile_has_a_record",
                "profile_names_its_primaries",
                "consent_is_messagings",
                "lifetime_value_adds_up",
            }
        ),
    ),
    "records": Planted(
        both(
            *(again(LINKS, service="TEETIME", service_record_id=f"t{n}", rule="EMAIL", is_primary=n == 0) for n in FIVE)
        ),
        also=frozenset({"every_record_is_linked", "profile_names_its_primaries"}),
    ),
    "events": Planted(
        both(*(again(TIMELINE, event_id=f"e{n}", amount_cents=None, currency=None, source="CRM") for n in FIVE))
    ),
    "days_since_newest_event": Planted(changed(TIMELINE, rows=range(PEOPLE), occurred_at=AS_OF - timedelta(days=4))),
    "share_of_subscriber": _moved_to("SUBSCRIBER"),
    "share_of_lead": _moved_to("LEAD"),
    "share_of_prospect": _moved_to("PROSPECT"),
    "share_of_customer": Planted(
        changed(PROFILES, rows=FIVE, lifecycle_stage="LEAD"), also=frozenset({"share_of_lead"})
    ),
    "share_of_member": _moved_to("MEMBER"),
    "share_of_advocate": _moved_to("ADVOCATE"),
    "share_of_churned": _moved_to("CHURNED"),
    "linked_by_anchor": Planted(
        changed(LINKS, rows=range(0, 10, 2), rule="ALWAYS"),
        also=frozenset({"linked_by_always", "one_anchor_per_profile"}),
    ),
    "linked_by_always": _linked_by("ALWAYS"),
    "linked_by_auth_user_id": _linked_by("AUTH_USER_ID"),
    "linked_by_email_and_phone": _linked_by("EMAIL_AND_PHONE"),
    "linked_by_duplicate_registration": _linked_by("DUPLICATE_REGISTRATION"),
    "linked_by_email": Planted(changed(LINKS, rows=FIVE_EMAILS, rule="PHONE"), also=frozenset({"linked_by_phone"})),
    "linked_by_phone": _linked_by("PHONE"),
}
FAULTS: Final = {
    (suite, expectation): planted
    for suite, faults in {
        "customer_profiles": OF_PROFILES,
        "customer_timeline": OF_TIMELINE,
        "tables_agree": OF_AGREEMENT,
        "as_usual": OVER_TIME,
    }.items()
    for expectation, planted in faults.items()
}
