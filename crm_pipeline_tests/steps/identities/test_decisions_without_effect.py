"""A decision of an operator that has no effect is quarantined and named by the review that it was meant for."""

from dataclasses import dataclass
from datetime import timedelta

from crm_pipeline.tables.outputs.identity import customer_identities, identity_reviews
from crm_pipeline.tables.outputs.operations import quarantined_records
from crm_pipeline_tests.fixtures.histories.moving_services import Row
from crm_pipeline_tests.fixtures.histories.small_clubs import HOUR, Passing, SharedHours, SmallClub

DECISION_TABLES = "('IdentityOverride', 'SuppressedIdentifier')"
ABSENT = "A row of IdentityOverride about this has no effect: its recordIdB names a record that is absent or set aside."


@dataclass
class Club(SmallClub):
    """With Ada and a player of another name, who share an email, and so a question."""

    def __post_init__(self) -> None:
        self.ada = self.add("Lead", "ada", firstName="Ada", email="ada@x.example")
        self.add("Player", "carl", firstName="Carl", email="ada@x.example")

    def decide(self, id_: str, one: str, other: str, decision: str = "NEVER", **values: str) -> Row:
        """Adds an override of two records, each as `SERVICE id`."""
        sides = zip("AB", (one, other), strict=True)
        keys = {f"{name}{side}": part for side, key in sides for name, part in zip(NAMES, key.split(), strict=True)}
        said = {"decision": decision, "reason": "They say so", "decidedBy": "staff-1"}
        return self.add("IdentityOverride", id_, **keys, **said, **values)

    def suppress(self, id_: str, kind: str, value: str) -> Row:
        return self.add("SuppressedIdentifier", id_, kind=kind, value=value, reason="Everybody's")

    def without_effect(self) -> set[tuple[str, str, str]]:
        """Returns id, column and reason of every decision in quarantine."""
        rows = self.rows(quarantined_records, f"table_name in {DECISION_TABLES}")
        return {(row["service_record_id"], row["column_name"], row["reason"]) for row in rows}

    def question(self) -> str:
        """Returns the reason of the open review about Ada's lead."""
        [row] = self.rows(identity_reviews, "'ada' in (record_id_a, record_id_b) and closed_at is null")
        return str(row["reason"])


NAMES = ("service", "recordId")


clubs = SharedHours(Club)


@clubs.test
def test_each_decision_that_means_nothing_is_quarantined_with_the_reason(club: Club) -> Passing:
    club.decide("right", "CRM ada", "TEETIME carl", "ALWAYS")
    club.decide("both gone", "SCL 8800", "TEETIME nobody")
    club.decide("of another service", "CRM carl", "TEETIME carl")
    club.decide("twice", "CRM ada", "CRM ada", "ALWAYS")
    club.decide("no decision", "CRM ada", "TEETIME carl", "PERHAPS")
    for id_, kind, value in (
        ("right email", "EMAIL", " Reception@X.example "),
        ("right phone", "PHONE", "+44 161 496 0001"),
        ("pattern", "EMAIL", "*@x.example"),
        ("other pattern", "EMAIL", "%@x.example"),
        ("some digits", "PHONE", "0161*"),
        ("swapped", "EMAIL", "+44 161 496 0000"),
        ("swapped too", "PHONE", "reception@x.example"),
        ("neither", "PHONE", "the pro shop"),
    ):
        club.suppress(id_, kind, value)
    yield HOUR
    assert club.without_effect() == {
        ("both gone", "recordIdA", "ORPHAN"),
        ("both gone", "recordIdB", "ORPHAN"),
        ("of another service", "recordIdA", "ORPHAN"),
        ("twice", "recordIdB", "NO_EFFECT"),
        ("no decision", "decision", "UNKNOWN_VALUE"),
        ("pattern", "value", "INVALID_EMAIL"),
        ("other pattern", "value", "INVALID_EMAIL"),
        ("some digits", "value", "INVALID_PHONE"),
        ("swapped", "value", "INVALID_EMAIL"),
        ("swapped too", "value", "INVALID_PHONE"),
        ("neither", "value", "INVALID_PHONE"),
    }


@clubs.test
def test_a_decision_takes_effect_in_the_hour_its_record_appears_and_loses_it_when_it_goes(
    club: Club,
) -> Passing:
    club.decide("ada", "CRM ada", "TEETIME late")
    club.decide("carl", "TEETIME carl", "CRM ada")
    yield HOUR
    assert club.without_effect() == {("ada", "recordIdB", "ORPHAN")}
    late = club.add("Player", "late", firstName="Ada", email="ada@x.example")
    yield HOUR
    assert club.without_effect() == set()
    club.remove("Player", late)
    yield HOUR
    assert club.without_effect() == {("ada", "recordIdB", "ORPHAN")}
    club.add("Player", "late", firstName="Ada", createdAt="last year")
    yield HOUR
    assert club.without_effect() == {("ada", "recordIdB", "ORPHAN")}, "a record that is set aside is none"


@clubs.test
def test_a_record_with_the_id_of_a_decision_does_not_clear_it(club: Club) -> Passing:
    club.decide("twin", "CRM ada", "TEETIME late")
    twin = club.add("Lead", "twin", firstName="Twin")
    yield HOUR
    club.change(twin, firstName="Twyn")
    yield HOUR
    assert club.without_effect() == {("twin", "recordIdB", "ORPHAN")}


@clubs.test
def test_the_question_that_a_decision_was_meant_for_says_that_it_has_no_effect(club: Club) -> Passing:
    yield HOUR
    plain = club.question()
    assert plain.endswith("ALWAYS confirms them.")
    wrong = club.decide("wrong", "CRM ada", "TEETIME karl")
    yield HOUR
    assert club.question() == f"{plain} {ABSENT}"
    karl = club.add("Player", "karl", firstName="Karl")
    yield HOUR
    assert club.question() == plain
    club.remove("Player", karl)
    wrong.update(recordIdB="carl")
    yield HOUR
    assert club.rows(identity_reviews, "'ada' in (record_id_a, record_id_b) and closed_at is null") == []
    assert (
        len({row["profile_id"] for row in club.rows(customer_identities, "service_record_id in ('ada', 'carl')")}) == 2
    )


@clubs.test
def test_a_decision_that_validation_set_aside_is_named_too(club: Club) -> Passing:
    club.decide("unreadable", "CRM ada", "TEETIME carl", updatedAt="yesterday")
    yield HOUR
    assert "no effect: its updatedAt is set aside as NOT_A_TIME." in club.question()


def ask_about_reception(club: Club, kind: str, value: str) -> Passing:
    """The question about an email of four people, which an operator meant to suppress."""
    for number in range(4):
        club.add("Lead", f"walk-in {number}", firstName=f"N{number}", email="reception@x.example")
    club.suppress("meant", kind, value)
    club.suppress("not meant", "EMAIL", "*@y.example")
    yield HOUR
    [row] = club.rows(identity_reviews, "kind = 'SHARED' and witness ->> 'value' = 'reception@x.example'")
    noun = "no email address" if kind == "EMAIL" else "no phone number"
    assert row["reason"].endswith(f" A row of SuppressedIdentifier about this has no effect: its value is {noun}.")


@clubs.test
def test_the_question_about_a_shared_value_names_a_pattern_that_was_meant_to_suppress_it(club: Club) -> Passing:
    yield from ask_about_reception(club, "EMAIL", "*@X.example")


@clubs.test
def test_the_question_about_a_shared_value_names_one_of_another_kind(club: Club) -> Passing:
    yield from ask_about_reception(club, "PHONE", "reception@x.example")


@clubs.test
def test_the_question_about_a_shared_value_names_a_pattern_of_another_kind(club: Club) -> Passing:
    yield from ask_about_reception(club, "PHONE", "recep%@x.example")


@clubs.test
def test_the_question_about_a_shared_login_names_a_decision_about_one_of_its_records(club: Club) -> Passing:
    for name in ("Vera", "Wim", "Zoe"):
        club.add("Lead", name, firstName=name, authUserId="everybody")
    club.decide("of nobody", "CRM Zoe", "SCL 880011")
    yield HOUR
    [row] = club.rows(identity_reviews, "kind = 'SHARED' and witness ->> 'value' = 'everybody'")
    assert ABSENT in row["reason"]


@clubs.test
def test_a_decision_from_a_clock_that_runs_ahead_takes_effect_in_the_hour_its_time_comes(
    club: Club,
) -> Passing:
    ahead = f"{club.at + timedelta(hours=26, minutes=30):%Y-%m-%dT%H:%M:%SZ}"
    club.decide("ahead", "CRM ada", "TEETIME carl", updatedAt=ahead)
    for id_ in range(4):
        club.add("Lead", f"walk-in {id_}", firstName=f"N{id_}", email="reception@x.example")
    club.suppress("ahead too", "EMAIL", "reception@x.example").update(updatedAt=ahead)
    yield HOUR
    yield HOUR
    assert club.without_effect() == {("ahead", "updatedAt", "FUTURE_TIME"), ("ahead too", "updatedAt", "FUTURE_TIME")}
    assert "no effect: its updatedAt is set aside as FUTURE_TIME." in club.question()
    yield HOUR
    assert club.without_effect() == set()
    about_them = "'ada' in (record_id_a, record_id_b) or contains(witness, 'reception@x.example')"
    assert club.rows(identity_reviews, f"closed_at is null and ({about_them})") == []
