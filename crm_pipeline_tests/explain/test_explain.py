"""`crm-pipeline explain` on the sample clubs: lookups, links with their reasons, and non-matches."""

import json
from pathlib import Path

import pytest

from crm_pipeline.explain import ProfileNotFoundError
from crm_pipeline.sample.office import build_first_profile_id
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.homes.questions import answer, command, page, person
from crm_pipeline_tests.fixtures.worlds.world_rows import FYNBOS, HEATHER, SAGUARO

FYNBOS_LINKS, HEATHER_MOOR, SAGUARO_RIDGE = FYNBOS.slug, HEATHER.slug, SAGUARO.slug
GRACE = build_first_profile_id(HEATHER_MOOR, Service.TEETIME, "player-grace-hartwell")


@pytest.mark.parametrize(
    ("by", "value"),
    [
        ("email", " Grace.Hartwell@EXAMPLE.org "),
        ("phone", "07911 100103"),
        ("phone", "+44 (0)7911-100103"),
        ("record", "messaging:contact-grace-hartwell"),
        ("profile", GRACE.upper()),
    ],
)
def test_a_person_is_found_by_whatever_is_known_of_them(sample_home: Path, by: str, value: str) -> None:
    assert person(sample_home, HEATHER_MOOR, by, value)["profile_id"] == GRACE  # type: ignore[arg-type]


def test_a_link_by_email_and_phone_has_its_rule_confidence_and_partner(sample_home: Path) -> None:
    grace = person(sample_home, HEATHER_MOOR, "profile", GRACE)
    player, contact = grace["records"]
    assert (player["rule"], player["words"]) == ("ANCHOR", "the record the profile id stands for")
    assert (contact["rule"], contact["confidence"], contact["linked_to_record_id"]) == (
        "EMAIL_AND_PHONE",
        0.99,
        "player-grace-hartwell",
    )
    assert contact["words"] == (
        "same email address and phone number as TeeTime player player-grace-hartwell"
        " (grace.hartwell@example.org, +447911100103), 99% certain"
    )
    assert contact["held"]["phone_number"] == "07911 100103"
    assert (grace["refused"], grace["reviews"]) == ([], [])


def test_every_field_names_the_record_it_came_from(sample_home: Path) -> None:
    fields = person(sample_home, HEATHER_MOOR, "profile", GRACE)["fields"]
    player, contact = "TEETIME:player-grace-hartwell", "MESSAGING:contact-grace-hartwell"
    expected = {"email": player, "teetime_player_id": player, "messaging_contact_id": contact, "sms_opt_in": contact}
    assert {name: fields[name]["origin"]["records"] for name in expected} == {n: [r] for n, r in expected.items()}
    assert fields["display_name"]["origin"] == {"kind": "records", "records": [player]}
    assert fields["handicap"] == {"value": None, "origin": {"kind": "none", "records": []}}
    assert fields["churn_risk_score"]["origin"]["kind"] == "calculated"


def test_a_consent_that_is_withheld_names_the_contact_that_says_no(sample_home: Path) -> None:
    tessa = person(sample_home, SAGUARO_RIDGE, "email", "tessa.merrow@example.net")
    assert tessa["fields"]["email_opt_in"] == {
        "value": False,
        "origin": {"kind": "records", "records": ["MESSAGING:contact-tessa-merrow-2"]},
    }


def test_staff_who_joined_two_records_are_quoted(sample_home: Path) -> None:
    meg = person(sample_home, SAGUARO_RIDGE, "email", "meg@example.org")
    assert meg["records"][1]["words"] == (
        "staff decided that they are one person, with SCL member 32 (staff-2: Meg is short for Margaret), 100% certain"
    )


def test_an_ambiguous_match_names_everybody_and_the_row_that_settles_it(sample_home: Path) -> None:
    document = answer(sample_home, HEATHER_MOOR, "record", "TEETIME:player-james-ormsley")
    (james,) = document["people"]
    of_members = {build_first_profile_id(HEATHER_MOOR, Service.SCL, id_) for id_ in ("23", "24")}
    asked = [other for other in james["refused"] if other["profile_id"] in of_members]
    assert {other["profile_id"] for other in asked} == of_members
    assert all(len(other["open_review_ids"]) == 2 and other["cannot_link"] is None for other in asked)
    said = page(document)
    assert (
        "SCL member 23 and TeeTime player player-james-ormsley match: same email address. But one of them matches"
        " somebody else as well: SCL member 23 and SCL member 24 cannot be one person" in said
    )
    assert (
        "IdentityOverride: tenantId=heather-moor, serviceA=SCL, recordIdA=23, serviceB=TEETIME,"
        " recordIdB=player-james-ormsley, decision=ALWAYS" in said
    )


def test_a_refused_chain_shows_its_witness(sample_home: Path) -> None:
    wendy = person(sample_home, SAGUARO_RIDGE, "record", "SCL:35")
    (review,) = wendy["reviews"]
    assert review["kind"] == "CONFLICT"
    assert "would make one person of SCL member 34 and SCL member 35" in review["words"]
    assert review["settled_by"]["decision"] == "NEVER"
    (other,) = wendy["refused"]
    assert other["alike"][0]["words"] == "SCL member 35 and CRM lead lead-w-redfern-2 have the same phone number"


def test_two_whom_staff_keep_apart_say_who_decided_and_what_undoes_it(sample_home: Path) -> None:
    document = answer(sample_home, SAGUARO_RIDGE, "record", "SCL:31")
    (paula,) = document["people"][0]["refused"]
    assert (paula["display_name"], paula["cannot_link"]["kind"], paula["settled_by"]) == (
        "Paula Inglewood",
        "NEVER",
        None,
    )
    (decision,) = paula["decisions"]
    sentence = "Staff decided that they are two people (staff-2: Husband and wife); without IdentityOverride"
    assert f"{sentence} {decision['id']} they would be judged anew." in page(document)


def test_a_decision_that_was_refused_has_its_reason(sample_home: Path) -> None:
    (alan,) = person(sample_home, SAGUARO_RIDGE, "record", "SCL:33")["refused"]
    assert alan["cannot_link"] == {
        "one": {"service": "SCL", "record_id": "33"},
        "other": {"service": "TEETIME", "record_id": "player-alan-pickwell"},
        "kind": "AUTH_USER_ID",
    }
    assert len(alan["open_review_ids"]) == 1


def test_a_family_with_one_email_is_listed_with_the_reason_each_is_somebody_else(sample_home: Path) -> None:
    document = answer(sample_home, FYNBOS_LINKS, "email", "Kruisvelds@example.com")
    names = {one["display_name"] for one in document["people"]}
    assert names == {"Pieter Kruisveld", "Marlene Kruisveld", "Anke Kruisveld"}
    said = page(document)
    assert said.startswith("3 people at Fynbos Links have the email address kruisvelds@example.com:")
    assert "Marlene Kruisveld and Pieter Kruisveld  SCL member 11 and SCL member 12 cannot be one person" in said
    assert all(one["profile_id"] in said for one in document["people"])


def test_a_row_that_would_join_a_pair_of_one_service_is_about_the_two_that_stand_against_it(sample_home: Path) -> None:
    pieter = person(sample_home, FYNBOS_LINKS, "record", "SCL:11")
    (marlene,) = (other for other in pieter["refused"] if other["display_name"] == "Marlene Kruisveld")
    assert marlene["cannot_link"]["kind"] == "SAME_SERVICE"
    assert marlene["settled_by"] == {
        "tenantId": FYNBOS_LINKS,
        "serviceA": "SCL",
        "recordIdA": "11",
        "serviceB": "SCL",
        "recordIdB": "12",
        "decision": "ALWAYS",
    }


def test_a_reception_address_is_no_evidence_and_parts_nobody(sample_home: Path) -> None:
    document = answer(sample_home, HEATHER_MOOR, "record", "SCL:26")
    (nora,) = document["people"]
    (crowded,) = nora["no_evidence"]
    assert crowded == {"kind": "EMAIL", "value": "reception@heather-moor.example", "why": "too many records have it"}
    assert nora["refused"] == []
    assert "SuppressedIdentifier: tenantId=heather-moor, kind=EMAIL, value=reception@heather-moor.example" in page(
        document
    )


def test_a_suppressed_phone_in_any_spelling_finds_everybody_who_has_it(sample_home: Path) -> None:
    document = answer(sample_home, SAGUARO_RIDGE, "phone", "(480) 555-0100")
    assert document["asked"]["value"] == "+14805550100"
    assert {one["display_name"] for one in document["people"]} == {"Oliver Kirkby", "Laura Garside"}
    assert "phone number; the club has listed it, so it joins nobody" in page(document)


def test_a_link_that_looks_odd_is_a_question_about_the_person(sample_home: Path) -> None:
    document = answer(sample_home, HEATHER_MOOR, "email", "langmere@example.net")
    assert document["people"][0]["refused"] == []
    assert "They were joined by nothing else, and their first names differ." in page(document)


@pytest.mark.parametrize(
    ("by", "value", "words"),
    [
        ("email", "absent@example.com", "nobody at heather-moor has the email address absent@example.com"),
        ("email", "no address", "'no address' is no email address at heather-moor"),
        ("phone", "07911 100199", "nobody at heather-moor has the phone number +447911100199"),
        ("phone", "12", "'12' is no phone number at heather-moor"),
        ("profile", "1234", "'1234' is no profile id"),
        ("profile", str(build_first_profile_id("x", Service.SCL, "1")), "no profile of heather-moor has or had the id"),
        ("record", "SCL:999999", "heather-moor has no SCL member 999999"),
        ("record", "SCL:11", "heather-moor has no SCL member 11"),
        ("record", "GOLF:1", "'GOLF:1' names no record: say SERVICE:ID, with one of SCL, TEETIME, MESSAGING, CRM"),
        ("record", "MESSAGING:contact-undecided", "it is set aside: emailOptIn NOT_A_BOOLEAN"),
    ],
)
def test_whoever_cannot_be_found_is_said_in_one_line(sample_home: Path, by: str, value: str, words: str) -> None:
    with pytest.raises(ProfileNotFoundError) as error:
        answer(sample_home, HEATHER_MOOR, by, value)  # type: ignore[arg-type]
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_prints_a_page_or_a_document_and_fails_with_one_line(sample_home: Path) -> None:
    asked = ("explain", "--tenant", HEATHER_MOOR)
    printed = command(sample_home, *asked, "--phone", "07911 100103")
    assert (printed.exit_code, printed.stderr) == (0, "")
    assert printed.stdout.startswith("Grace Hartwell\nHeather Moor, as of 31 Mar 2026 13:00, times in Europe/London\n")
    document = command(sample_home, *asked, "--phone", "07911 100103", "--json")
    assert json.loads(document.stdout)["people"][0]["profile_id"] == GRACE
    missing = command(sample_home, *asked, "--record", "SCL:0")
    assert (missing.exit_code, missing.stdout, missing.stderr) == (1, "", "Error: heather-moor has no SCL member 0\n")
    unknown = command(sample_home, "explain", "--tenant", "atlantis", "--record", "SCL:0")
    assert (unknown.exit_code, unknown.stderr.splitlines()[-1]) == (
        1,
        "Error: no such tenant: atlantis; known are fynbos-links, heather-moor, saguaro-ridge",
    )
    both = command(sample_home, *asked, "--record", "SCL:0", "--email", "a@example.com")
    assert both.stderr.splitlines()[-1] == "Error: give one of --email, --phone, --profile and --record"
