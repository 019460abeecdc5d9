"""Questions for a person: what they say, that the printed row settles them, and when they close and open again."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from crm_pipeline.domain.identity.resolve import Resolution
from crm_pipeline_tests.fixtures.worlds.identity_worlds import AS_OF, T, about, open_reviews, run, select_tenants, world
from crm_pipeline_tests.fixtures.worlds.naive_identities import Person, World
from crm_pipeline_tests.fixtures.worlds.random_worlds import MANY, Tenants, tenants, thorough

ANN = Person("SCL", "1", None, "lees@x.example", "+1", "ann", "lee")
BOB = Person("SCL", "2", None, "lees@x.example", "+2", "bob", "lee")
PLAYER = Person("TEETIME", "p", None, "lees@x.example", None, "lee")
UNNAMED_PLAYER = PLAYER._replace(first_name=None)
HUB = tuple(Person("SCL", str(i), "hub", first_name=f"n{i}") for i in range(4))
FAMILY = tuple(
    Person(service, "7", "family", first_name=name)
    for service, name in (("SCL", "ann"), ("TEETIME", "bob"), ("CRM", "zoe"), ("MESSAGING", "ann"))
)
CROWD = tuple(Person("SCL", str(i), email="reception@x.example") for i in range(4))
ASKED = {
    "AMBIGUOUS": world(ANN, BOB, UNNAMED_PLAYER),
    "CONFLICT": world(
        *(pair := (Person("SCL", "1", "a"), Person("TEETIME", "p"))),
        last := Person("CRM", "l", "b"),
        always=[pair, (pair[1], last)],
    ),
    "NAMES_DIFFER": world(ANN, PLAYER._replace(first_name="bob")),
    "REJECTED_ALWAYS": world(
        one := Person("SCL", "1", "a"), other := Person("TEETIME", "p", "b"), always=[(one, other)]
    ),
    "SHARED": world(*CROWD),
    "SHARED auth_user_id": world(*HUB),
    "SHARED by three people": world(*FAMILY),
}


def printed_rows(review: dict[str, Any]) -> list[dict[str, str]]:
    """The rows that a review prints, each of which settles it: one, or two about a shared login."""
    rows = json.loads(review["settled_by"])
    return rows if isinstance(rows, list) else [rows]


def settled(some: World, row: dict[str, str]) -> World:
    """The world after an operator entered a row that a review prints; a decision replaces one about the same pair."""
    if "kind" in row:
        return some._replace(suppressed=some.suppressed | {(row["kind"], row["value"])})
    by_key = {person[:2]: person for person in some.people}
    pair = frozenset(by_key[row[f"service{side}"], row[f"recordId{side}"]] for side in "AB")
    decided = {"ALWAYS": some.always - {pair}, "NEVER": some.never - {pair}}
    decided[row["decision"]] |= {pair}
    return some._replace(always=decided["ALWAYS"], never=decided["NEVER"])


@pytest.mark.parametrize("kind", ASKED)
def test_each_row_a_question_prints_settles_it(kind: str) -> None:
    asked = run(ASKED[kind])
    reviews = open_reviews(asked)
    assert {review["kind"] for review in reviews} == {kind.split(maxsplit=1)[0]}
    for printed in printed_rows(reviews[0]):
        assert printed["tenantId"] == T
        closed = run(settled(ASKED[kind], printed), asked, hour=1)
        [row] = [r for r in closed.identity_reviews.to_pylist() if r["review_id"] == reviews[0]["review_id"]]
        assert (row["opened_at"], row["closed_at"]) == (AS_OF, AS_OF + timedelta(hours=1))


@thorough
@given(tenants(MANY))
def test_every_question_is_settled_by_each_row_it_prints(everybody: Tenants) -> None:
    asked = run(everybody)
    questions = {
        tenant: [
            (review, row) for review in open_reviews(select_tenants(asked, tenant)) for row in printed_rows(review)
        ]
        for tenant in everybody
    }
    for nth in range(max(map(len, questions.values()))):
        these = {tenant: rows[nth] for tenant, rows in questions.items() if nth < len(rows)}
        after = run({tenant: settled(everybody[tenant], row) for tenant, (_, row) in these.items()}, asked, hour=1)
        still_open = {row["review_id"] for row in open_reviews(after)}
        for tenant, (review, row) in these.items():
            with about(tenant, everybody[tenant]):
                assert review["review_id"] not in still_open, review
                assert row["tenantId"] == tenant


@thorough
@given(tenants(MANY))
def test_questions_keep_their_ids_and_name_records_not_people(everybody: Tenants) -> None:
    asked = run(everybody)
    again = run(everybody, asked, hour=1)
    for tenant, some in everybody.items():
        with about(tenant, some):
            assert select_tenants(again, tenant).identity_reviews == select_tenants(asked, tenant).identity_reviews
            reviews = open_reviews(select_tenants(asked, tenant))
            assert len({review["review_id"] for review in reviews}) == len(reviews)
            personal = {value for person in some.people for value in (person.email, person.phone_number) if value}
            assert not [review for review in reviews for value in personal if value in review["reason"]]
            assert all(json.loads(review["witness"]) for review in reviews)


def test_a_question_that_is_no_longer_asked_closes_and_opens_again_when_it_is() -> None:
    asked = run(ASKED["AMBIGUOUS"])
    closed = run(world(ANN, BOB), asked, hour=1)
    still_closed = run(world(ANN, BOB), closed, hour=2)
    again = run(ASKED["AMBIGUOUS"], still_closed, hour=3)

    def times(found: Resolution) -> list[tuple[Any, Any]]:
        return [(row["opened_at"], row["closed_at"]) for row in found.identity_reviews.to_pylist()]

    assert times(asked) == [(AS_OF, None)] * 2
    assert times(closed) == times(still_closed) == [(AS_OF, AS_OF + timedelta(hours=1))] * 2
    assert times(again) == [(AS_OF + timedelta(hours=3), None)] * 2


def test_an_ambiguous_pair_says_why_nobody_was_joined() -> None:
    first, second = open_reviews(run(ASKED["AMBIGUOUS"]))
    assert {first["record_id_a"], second["record_id_a"]} == {"1", "2"}
    assert json.loads(first["witness"]) == {
        "rule": "EMAIL",
        "confidence": 0.95,
        "cannot_link": "SAME_SERVICE",
        "service_a": "SCL",
        "record_id_a": "1",
        "service_b": "SCL",
        "record_id_b": "2",
    }
    assert "SCL 1 and SCL 2 (two records of one service)" in first["reason"]


def test_a_shared_value_is_named_with_the_records_that_carry_it() -> None:
    [review] = open_reviews(run(ASKED["SHARED"]))
    assert json.loads(review["settled_by"]) == {"tenantId": T, "kind": "EMAIL", "value": "reception@x.example"}
    assert json.loads(review["witness"])["records"] == 4
    assert [record["record_id"] for record in json.loads(review["witness"])["first_records"]] == ["0", "1", "2", "3"]


def test_a_login_of_three_people_says_which_three_and_prints_both_decisions() -> None:
    [review] = open_reviews(run(world(*FAMILY)))
    three = [{"service": "SCL", "record_id": "7"}, {"service": "TEETIME", "record_id": "7"}]
    assert json.loads(review["witness"])["differing_records"] == [*three, {"service": "CRM", "record_id": "7"}]
    assert "three people by first name, email and phone: SCL 7, TEETIME 7, CRM 7." in review["reason"]
    pair = {"tenantId": T, "serviceA": "SCL", "recordIdA": "7", "serviceB": "TEETIME", "recordIdB": "7"}
    assert printed_rows(review) == [pair | {"decision": "ALWAYS"}, pair | {"decision": "NEVER"}]


def test_first_names_are_questioned_on_every_link_between_services() -> None:
    other = PLAYER._replace(first_name="bob")
    assert [r["kind"] for r in open_reviews(run(world(ANN, other)))] == ["NAMES_DIFFER"]
    assert open_reviews(run(world(ANN, other._replace(first_name="a")))) == []
    assert open_reviews(run(world(ANN, other._replace(first_name=None)))) == []
    for agreeing in ("anné", "dr ann b.", "ann-marie", "nancy"):
        assert open_reviews(run(world(ANN, other._replace(first_name=agreeing)))) == [], agreeing
    assert [r["kind"] for r in open_reviews(run(world(ANN, other._replace(phone_number="+1"))))] == ["NAMES_DIFFER"]
    accounts = world(ANN._replace(auth_user_id="x"), other._replace(auth_user_id="x"))
    assert [r["kind"] for r in open_reviews(run(accounts))] == ["NAMES_DIFFER"]
    assert open_reviews(run(world(ANN, other, always=[(ANN, other)]))) == []
    assert open_reviews(run(world(ANN, other, never=[(ANN, other)]))) == []


def test_an_always_against_a_never_is_asked_about_until_one_is_withdrawn() -> None:
    pair = (Person("SCL", "1"), Person("TEETIME", "p"))
    found = run(world(*pair, always=[pair], never=[pair]))
    [review] = open_reviews(found)
    assert "Withdraw one of the two" in review["reason"]
    assert open_reviews(run(world(*pair, always=[pair]), found, hour=1)) == []
    assert open_reviews(run(world(*pair, never=[pair]), found, hour=1)) == []


def test_a_decision_about_a_shared_auth_user_id_settles_it_for_its_own_tenant_only() -> None:
    found = run({"club-1": world(*HUB), "club-2": world(*HUB, never=[HUB[:2]])})
    assert [review["tenant_id"] for review in open_reviews(found)] == ["club-1"]
