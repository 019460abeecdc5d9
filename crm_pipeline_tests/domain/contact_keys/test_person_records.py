"""Person records of all services in one shape: their keys, their order, and who is active."""

import pytest

from crm_pipeline.domain.contact_keys import person_records
from crm_pipeline.domain.contact_keys.email_and_name import NORMALISATION_VERSION
from crm_pipeline.domain.contact_keys.person_records import (
    INVALID_KEYS_SQL,
    compute_normaliser_hash,
    normalise_suppressed_values,
)
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.sources import crm, scl, teetime
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.worlds.scene import Scene, ago


def people(scene: Scene, *columns: str) -> list[tuple[object, ...]]:
    """Returns columns of relation `people`, in the order of records."""
    scene.timeline()
    query = f"select {', '.join(columns)} from people order by tenant_id, service_order, record_order"
    return [tuple(row) for row in scene.con.sql(query).fetchall()]


def test_every_service_has_its_place() -> None:
    scene = Scene()
    for table in reversed(PERSON_TABLES.values()):
        scene.add(table)
    ids = ["1", "ann", "ann", "ann"]
    assert people(scene, "service", "record_id") == list(zip(map(str, Service), ids, strict=True))


def test_ids_are_in_order_of_numbers_then_texts_and_never_tie() -> None:
    scene = Scene()
    ordered = ["2", "007", "7", "10", "9" * 41, "-1", "1a", "B", "a", "a1", "ab"]
    for id_ in reversed(ordered):
        scene.add(teetime.player, id=id_)
    assert [id_ for (id_,) in people(scene, "record_id")] == ordered
    assert len(set(people(scene, "record_order"))) == len(ordered)


def test_keys_are_normal_or_none_and_what_was_entered_is_kept() -> None:
    scene = Scene()
    scene.add(crm.lead, "a", email="Ann@Example.ORG", phone_number="(030) 2345-0001", auth_user_id="Id")
    scene.add(crm.lead, "b", email="ann at example", phone_number="12")
    columns = ("email", "phone_number", "auth_user_id", "entered_email", "entered_phone")
    assert people(scene, *columns) == [
        ("ann@example.org", "+493023450001", "Id", "Ann@Example.ORG", "(030) 2345-0001"),
        (None, None, None, "ann at example", "12"),
    ]


def test_names_compare_by_their_normal_form() -> None:
    scene = Scene()
    scene.add(crm.lead, first_name="ANNÉ")
    shown = people(scene, "first_name", "comparable_first_name", "comparable_last_name")
    assert shown == [("ANNÉ", "anné", None)]


def test_a_key_that_is_none_is_reported_and_its_record_stays() -> None:
    scene = Scene()
    scene.add(scl.member, email="ann at example", phone_number="12")
    scene.add(teetime.player, phone_number=None)
    assert len(people(scene, "record_id")) == 2
    wrong = scene.con.sql(
        f"select table_name, service_record_id, column_name, reason from ({INVALID_KEYS_SQL}) order by all"
    )
    assert wrong.fetchall() == [
        ("Member", "1", "email", "INVALID_EMAIL"),
        ("Member", "1", "phoneNumber", "INVALID_PHONE"),
    ]


def test_a_member_is_active_while_the_contract_runs() -> None:
    scene = Scene()
    for status in ("PENDING", "ACTIVE", "OVERDUE", "SUSPENDED", "LAPSED", "RESIGNED"):
        scene.add(scl.member, status, membership_status=status, auth_user_id=status, ended_at=ago(-1))
    for who, ended_at in (("no end", None), ("ends now", ago(0)), ("ends in a second", ago(0, -1))):
        scene.add(scl.member, who, membership_status="RESIGNED", auth_user_id=who, ended_at=ended_at)
    active = {who for who, is_active in people(scene, "auth_user_id", "is_active") if is_active}
    assert active == {"ACTIVE", "OVERDUE", "SUSPENDED", "RESIGNED", "ends in a second"}


def test_suppressed_values_are_normalised_before_anything_compares_them() -> None:
    scene = Scene()
    for kind, value in (("EMAIL", " Reception@Example.org"), ("PHONE", "030 23450000"), ("EMAIL", "nonsense")):
        scene.add(crm.suppressed_identifier, kind=kind, value=value)
    scene.timeline()
    normalise_suppressed_values(scene.con)
    rows = scene.con.sql("select kind, value from suppressed order by all").fetchall()
    assert rows == [("EMAIL", "reception@example.org"), ("PHONE", "+493023450000")]


@pytest.mark.parametrize("library", NORMALISATION_VERSION.split())
def test_normal_forms_are_made_anew_by_another_release_of_any_library(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = compute_normaliser_hash()
    another = NORMALISATION_VERSION.replace(library, f"{library}.1")
    monkeypatch.setattr(person_records, "NORMALISATION_VERSION", another)
    assert compute_normaliser_hash.__wrapped__() != before
