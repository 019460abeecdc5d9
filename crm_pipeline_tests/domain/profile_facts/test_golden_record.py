"""The golden record: which value wins, and which record it came from."""

import json
from decimal import Decimal

import pytest

from crm_pipeline.domain.privacy.subject_rows import FIELDS_WITH_SOURCE
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.worlds.scene import ANN, AS_OF, Scene, Values, ago

CONTESTED = ("auth_user_id", "email", "phone_number", "first_name", "last_name")
Record = tuple[Service, str, float, bool]
SCL, TEETIME, MESSAGING, CRM = Service

CONTESTS: dict[str, tuple[list[Record], str]] = {
    "SCL before all others": ([(s, "1", 9 - i, True) for i, s in enumerate(Service)], "SCL:1"),
    "TEETIME before MESSAGING": (
        [(CRM, "1", 0, True), (MESSAGING, "1", 1, True), (TEETIME, "1", 9, True)],
        "TEETIME:1",
    ),
    "MESSAGING before CRM": ([(CRM, "1", 0, True), (MESSAGING, "1", 9, True)], "MESSAGING:1"),
    "a value before none": ([(SCL, "1", 0, False), (TEETIME, "1", 0, False), (CRM, "1", 9, True)], "CRM:1"),
    "the latest update": ([(TEETIME, "a", 5, True), (TEETIME, "b", 4, True), (TEETIME, "c", 6, True)], "TEETIME:b"),
    "then the lowest number": ([(TEETIME, "10", 5, True), (TEETIME, "9", 5, True)], "TEETIME:9"),
    "numbers before texts": ([(TEETIME, "-a", 5, True), (TEETIME, "10", 5, True)], "TEETIME:10"),
    "then the lowest text": ([(CRM, "b", 5, True), (CRM, "a", 5, True), (CRM, "ab", 5, True)], "CRM:a"),
    "one number spelled twice": ([(CRM, "7", 5, True), (CRM, "007", 5, True)], "CRM:007"),
}
"""Records of one profile, (service, id, days since its update, whether it has values), and the one that wins."""


def values_of(service: Service, id_: str, place: int) -> Values:
    """Returns values that differ from one record to another."""
    name = f"{service} {id_}"
    keys = {"auth_user_id": name, "email": f"{place}@example.org", "phone_number": f"+4930234500{place:02}"}
    return keys | {"first_name": f"First {name}", "last_name": f"Last {name}"}


@pytest.fixture(scope="module")
def contests() -> dict[str, tuple[Values, Values]]:
    """Returns for every contest, held in a club of its own, the profile and the values of the winner."""
    scene, expected = Scene(), {}
    for contest, (records, winner) in CONTESTS.items():
        scene.tenant(contest)
        for place, (service, id_, days, has_values) in enumerate(records):
            values = values_of(service, id_, place)
            key = int(id_) if service is SCL else id_
            record = {"id": key, "tenant_id": contest, "updated_at": ago(days)} | (values if has_values else {})
            scene.add(PERSON_TABLES[service], contest, **record)
            if winner == f"{service}:{id_}":
                expected[contest] = values
    profiles = scene.refresh().profiles
    return {contest: (profiles[contest], expected[contest]) for contest in CONTESTS}


@pytest.mark.parametrize("contest", CONTESTS)
def test_the_best_record_wins_every_field(contests: dict[str, tuple[Values, Values]], contest: str) -> None:
    profile, values = contests[contest]
    assert {field: profile[field] for field in CONTESTED} == values
    sources = json.loads(profile["field_sources"])
    assert {sources[field] for field in CONTESTED} == {CONTESTS[contest][1]}
    assert set(sources) == set(FIELDS_WITH_SOURCE)


def test_each_field_may_come_from_another_record() -> None:
    scene = Scene()
    scene.add(scl.member, last_name="Kruisveld", membership_tier="Full")
    scene.add(teetime.player, first_name="Ann", handicap=Decimal("11.2"))
    scene.add(messaging.contact, email="Ann@Example.org ")
    scene.add(crm.lead, phone_number="030 23450001", auth_user_id="account-1")
    profile = scene.profile()
    values = ("first_name", "last_name", "display_name", "email", "phone_number", "auth_user_id")
    normal = ("Ann", "Kruisveld", "Ann Kruisveld", "ann@example.org", "+493023450001", "account-1")
    assert tuple(profile[value] for value in values) == normal
    assert json.loads(profile["field_sources"]) == {
        "auth_user_id": "CRM:ann",
        "email": "MESSAGING:ann",
        "phone_number": "CRM:ann",
        "first_name": "TEETIME:ann",
        "last_name": "SCL:1",
        "handicap": "TEETIME:ann",
        "home_club_id": None,
        "membership_tier": "SCL:1",
        "membership_status": "SCL:1",
    }


def test_a_shared_email_or_phone_is_used_only_if_there_is_no_other() -> None:
    scene = Scene()
    shared = {"email_is_shared": True, "phone_is_shared": True}
    reception = {"email": "reception@example.org", "phone_number": "+493023450000"}
    own = {"email": "own@example.org", "phone_number": "+493023450001"}
    for profile in ("has her own", "has none"):
        scene.add(scl.member, profile, shared, **reception)
    scene.add(crm.lead, "has her own", **own)
    profiles = scene.refresh().profiles
    assert {field: profiles["has her own"][field] for field in own} == own
    assert {field: profiles["has none"][field] for field in reception} == reception


def test_an_unusable_email_or_phone_is_no_value() -> None:
    scene = Scene()
    scene.add(scl.member, email="ann at example", phone_number="12")
    scene.add(crm.lead, email="ann@example.org", phone_number="+493023450001", first_name="Ann")
    profile = scene.profile()
    assert (profile["email"], profile["phone_number"]) == ("ann@example.org", "+493023450001")
    assert profile["first_name"] == "Ann"


def test_golf_comes_from_teetime_and_membership_from_scl_only() -> None:
    scene = Scene()
    scene.add(teetime.player, id="old", handicap=Decimal("20.0"), home_club_id="links", updated_at=ago(9))
    scene.add(teetime.player, id="new", handicap=Decimal("18.5"), updated_at=ago(1))
    scene.add(scl.member, membership_tier="Full", membership_status="ACTIVE")
    scene.add(crm.lead, "ben")
    profiles = scene.refresh().profiles
    fields = ("handicap", "home_club_id", "membership_tier", "membership_status")
    assert [profiles["ann"][field] for field in fields] == [Decimal("18.5"), "links", "Full", "ACTIVE"]
    assert [profiles["ben"][field] for field in fields] == [None] * 4


def test_a_display_name_is_the_full_name_or_else_the_email_or_else_the_phone() -> None:
    known: dict[str | None, Values] = {
        "Ann Lee": {"first_name": "Ann", "last_name": "Lee", "email": "a@example.org"},
        "Ann": {"first_name": "Ann", "email": "a@example.org"},
        "Lee": {"last_name": "Lee"},
        "a@example.org": {"email": "a@example.org", "phone_number": "+493023450001"},
        "+493023450001": {"phone_number": "+493023450001"},
        None: {},
    }
    scene = Scene()
    for display_name, values in known.items():
        scene.add(crm.lead, str(display_name), **values)
    profiles = scene.refresh().profiles
    assert [profiles[str(display_name)]["display_name"] for display_name in known] == list(known)


def test_links_are_the_primary_records() -> None:
    """Active before latest update before lowest id; membership is that of the primary member."""
    scene = Scene()
    scene.add(scl.member, id=1, membership_status="LAPSED", updated_at=ago(1))
    scene.add(scl.member, id=2, membership_status="OVERDUE", updated_at=ago(9), membership_tier="Full")
    scene.add(scl.member, id=3, membership_status="PENDING", updated_at=ago(0))
    for id_, days in (("a", 3), ("b", 2), ("c", 2)):
        scene.add(teetime.player, id=id_, updated_at=ago(days))
    for id_ in ("10", "9"):
        scene.add(messaging.contact, id=id_, updated_at=ago(2))
    profile = scene.profile()
    links = [profile[link] for link in ("scl_member_id", "teetime_player_id", "messaging_contact_id")]
    assert links == [2, "b", "9"]
    assert (profile["membership_status"], profile["membership_tier"]) == ("OVERDUE", "Full")


def test_a_contract_that_has_not_ended_yet_makes_the_primary_member() -> None:
    scene = Scene()
    scene.add(scl.member, id=1, membership_status="RESIGNED", ended_at=ago(1), updated_at=ago(1))
    scene.add(scl.member, id=2, membership_status="RESIGNED", ended_at=ago(-1), updated_at=ago(9))
    assert scene.profile()["scl_member_id"] == 2


def test_confidence_is_the_weakest_link_and_first_seen_the_earliest_record() -> None:
    scene = Scene()
    scene.add(scl.member, created_at=ago(500))
    scene.add(crm.lead, ANN, {"rule": "PHONE", "confidence": 0.85}, created_at=ago(900))
    scene.add(teetime.player, ANN, {"rule": "EMAIL", "confidence": 0.95}, created_at=ago(1))
    profile = scene.profile()
    assert (profile["identity_confidence"], profile["first_seen_at"]) == (0.85, ago(900))


def test_nobody_was_first_seen_in_the_future() -> None:
    scene = Scene()
    scene.add(crm.lead, created_at=ago(0, -300))
    assert scene.profile()["first_seen_at"] == AS_OF
