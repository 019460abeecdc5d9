"""The sentences of `explain` about consent withheld, placeholders and decisions without effect."""

import json
from pathlib import Path
from typing import Final

import pytest

from crm_pipeline.explain import ProfileNotFoundError
from crm_pipeline.explain.document import build_fields
from crm_pipeline.explain.formatting import Row, TenantClock
from crm_pipeline.explain.lake_reader import PersonRecords, TenantSettings
from crm_pipeline.explain.score_reasons import explain_engagement
from crm_pipeline.explain.sentences import describe_review
from crm_pipeline.explain.text_page import build_field_lines, build_open_review_lines, describe_record
from crm_pipeline.explain.warehouse_reader import RecordKey
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.sources import teetime
from crm_pipeline.vocabulary import QuarantineReason
from crm_pipeline_tests.fixtures.homes.questions import FLAGS, By, answer
from crm_pipeline_tests.fixtures.servers.warehouses import a_row
from crm_pipeline_tests.fixtures.worlds.scene import AS_OF, CLUB, Scene
from crm_pipeline_tests.fixtures.worlds.world_rows import HEATHER

CLOCK: Final = TenantClock(AS_OF, "UTC")


def test_the_consent_of_a_contact_that_is_set_aside_is_withheld_and_says_because_of_which() -> None:
    opt_in, phones = dict.fromkeys(FLAGS, True), {"sms_opt_in": False}
    linked = {RecordKey("MESSAGING", "whole"): opt_in | phones}
    sources = dict.fromkeys(("first_name", "last_name", "email", "phone_number"))
    profile = a_row(customer_profiles, **dict.fromkeys(FLAGS, False), field_sources=sources, tags=[])
    fields = build_fields(profile, linked, [], [RecordKey("MESSAGING", "broken")])
    lines = build_field_lines({"fields": fields, "records": [{"service": "MESSAGING", "service_record_id": "whole"}]})
    aside = "no  from Messaging contact broken (set aside)"
    assert {label: words for label, words in lines if label.startswith("Agreed")} == {
        "Agreed to email": aside,
        "Agreed to SMS": "no  from Messaging contact whole and Messaging contact broken (set aside)",
        "Agreed to push": aside,
        "Agreed to WhatsApp": aside,
    }


def test_a_contact_that_is_set_aside_is_found_by_every_id_its_profile_had() -> None:
    scene = Scene()
    scene.add(teetime.player, "ann")
    for contact, held_by in (("of ann", "ann"), ("of before", "before ann"), ("of ben", "ben")):
        scene.rows["withheld_consents"].append({"tenant_id": CLUB, "contact_id": contact, "profile_id": held_by})
    scene.redirect("before ann", "ann")
    profile = scene.refresh().profiles["ann"]
    people = PersonRecords(scene.con, TenantSettings(CLUB, "DE", "UTC", 0.85))
    found = people.withheld_contacts(["ann", "before ann"])
    assert found == [RecordKey("MESSAGING", "of ann"), RecordKey("MESSAGING", "of before")]
    parts = explain_engagement(profile | {"engagement_reasons": json.loads(profile["engagement_reasons"])}, [], CLOCK)
    assert parts["parts"][-1]["words"] == "agreed to nothing"


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("firstName", "its first name is set aside as unusable"),
        ("phoneNumber", "its phone number is set aside as unusable"),
        ("authUserId", "its auth user id is set aside as unusable"),
    ],
)
def test_a_record_with_a_placeholder_says_which_column_is_read_as_none(column: str, words: str) -> None:
    record = {
        "words": "the record the profile id stands for",
        "held": {"first_name": None, "last_name": "Tarn", "email": "ada@x.example", "phone_number": None},
        "set_aside": [{"column_name": column, "reason": QuarantineReason.PLACEHOLDER, "value": "N/A"}],
    }
    assert describe_record(record) == f"the record the profile id stands for; Tarn, ada@x.example; {words}"


@pytest.mark.parametrize(
    ("by", "value", "words"),
    [
        ("email", "NoEmail@club.example", "'NoEmail@club.example' is no email address at heather-moor"),
        ("phone", "0000000000", "'0000000000' is no phone number at heather-moor"),
        ("record", "SCL:null", "'SCL:null' names no record: say SERVICE:ID, with one of SCL, TEETIME, MESSAGING, CRM"),
    ],
)
def test_a_placeholder_asks_for_nobody(sample_home: Path, by: By, value: str, words: str) -> None:
    with pytest.raises(ProfileNotFoundError) as error:
        answer(sample_home, HEATHER.slug, by, value)
    assert str(error.value) == words


PAIR: Final = {"service_a": "SCL", "record_id_a": "11", "service_b": "TEETIME", "record_id_b": "p"}
NO_PAIR: Final = dict.fromkeys(PAIR)
WITNESS: Final = {"cannot_link": "AUTH_USER_ID", "service_a": "SCL", "record_id_a": "11", "service_b": "CRM",
                  "record_id_b": "l", "rule": "EMAIL"}  # fmt: skip
ABSENT: Final = "A row of IdentityOverride about this has no effect: its recordIdB names a record that is absent."
WRONG: Final = "A row of SuppressedIdentifier about this has no effect: its value is no phone number."
TWO: Final = "SCL member 11 and CRM lead l"
QUESTIONS: Final[dict[str, tuple[Row, str]]] = {
    "NAMES_DIFFER": (
        PAIR | {"witness": {"rule": "EMAIL"}},
        (
            "SCL member 11 and TeeTime player p match: same email address."
            " They were joined by nothing else, and their first names differ"
        ),
    ),
    "AMBIGUOUS": (
        PAIR | {"witness": WITNESS},
        (
            "SCL member 11 and TeeTime player p match: same email address. But one of them matches somebody else as"
            f" well: {TWO} cannot be one person (they have different login accounts), and first names do not decide"
        ),
    ),
    "CONFLICT": (
        PAIR | {"witness": WITNESS},
        (
            "SCL member 11 and TeeTime player p match: same email address. But joining everybody who matches would make"
            f" one person of {TWO}, which cannot be (they have different login accounts), so nobody was joined"
        ),
    ),
    "REJECTED_ALWAYS": (
        PAIR | {"witness": WITNESS},
        (
            "Staff decided that SCL member 11 and TeeTime player p are one person, which was refused:"
            " they have different login accounts"
        ),
    ),
    "SHARED": (
        NO_PAIR | {"witness": {"kind": "PHONE", "value": "+441614960000", "records": 5}},
        "5 records have the phone number +441614960000: too many for it to say who somebody is",
    ),
    "SHARED login": (
        NO_PAIR
        | {
            "witness": {
                "kind": "AUTH_USER_ID",
                "value": "desk",
                "records": 3,
                "differing_records": [{"service": "CRM", "record_id": id_} for id_ in ("1", "2", "3")],
            }
        },
        (
            "3 records have the login account desk, but CRM lead 1, CRM lead 2 and CRM lead 3 are three people by first"
            " name, email and phone: it does not say who somebody is"
        ),
    ),
}
"""By kind of review, and what it is about if there are two of a kind: a review and its question."""


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("notes", [[], [ABSENT], [ABSENT, WRONG]])
def test_a_question_ends_with_the_decisions_about_it_that_have_no_effect(name: str, notes: list[str]) -> None:
    review, question = QUESTIONS[name]
    noted = {"ineffective_decision": " ".join(notes)} if notes else {}
    asked = review | {"kind": name.partition(" ")[0], "witness": review["witness"] | noted}
    assert f"{describe_review(asked)}." == " ".join([f"{question}.", *notes])


def test_the_page_has_the_decision_without_effect_before_the_row_that_settles_the_question() -> None:
    review, question = QUESTIONS["SHARED"]
    asked = review | {"kind": "SHARED", "witness": review["witness"] | {"ineffective_decision": WRONG}}
    row = {"tenantId": "links", "kind": "PHONE", "value": "+441614960000"}
    listed = asked | {"review_id": "r", "closed_at": None, "settled_by": row, "words": describe_review(asked)}
    assert [words for _, words in build_open_review_lines({"refused": [], "reviews": [listed]})] == [
        f"{question}. {WRONG}",
        (
            "To confirm that it is nobody's own, add this to the CRM: SuppressedIdentifier: tenantId=links, kind=PHONE,"
            " value=+441614960000"
        ),
    ]
