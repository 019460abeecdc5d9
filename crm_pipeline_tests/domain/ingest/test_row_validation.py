"""Whole rows: which are quarantined and why, by themselves and by their context; none is ever lost."""

from datetime import timedelta

import pytest
from sqlalchemy import Table

from crm_pipeline.domain.ingest.row_validation import build_faulty_rows_query, validate_rows
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import crm, scl, teetime
from crm_pipeline_tests.fixtures.input.delivered import (
    AS_OF,
    Delivered,
    Read,
    a_connection,
    a_row,
    read,
    read_and_validate,
)


def problems(rows: list[Read]) -> list[list[str]]:
    return [kinds_of(row) for row in rows]


def kinds_of(row: Read) -> list[str]:
    """Returns column and reason of each problem, without the time from which a duplicate is one."""
    return [":".join(problem.split(":")[:2]) for problem in row["_problems"]]


def validate(table: Table, *rows: Delivered, others: dict[Table, list[Delivered]] | None = None) -> list[list[str]]:
    return problems(read_and_validate({**(others or {}), table: rows})[to_lake_name(table)])


# Keys


def test_of_rows_with_one_key_the_latest_counts_and_the_others_are_duplicates() -> None:
    days = ("2025-01-02", "2025-01-03", "2025-01-01")
    rows = read(teetime.player, *(a_row(teetime.player, firstName=day, updatedAt=f"{day}T00:00:00Z") for day in days))
    assert {row["first_name"]: kinds_of(row) for row in rows} == {
        "2025-01-03": [],
        "2025-01-02": ["id:DUPLICATE_KEY"],
        "2025-01-01": ["id:DUPLICATE_KEY"],
    }


def test_a_valid_row_counts_before_a_later_faulty_one() -> None:
    later = a_row(teetime.player, updatedAt="2025-06-01T00:00:00Z", handicap="scratch")
    rows = read(teetime.player, a_row(teetime.player, firstName="Ada"), later)
    assert {row["first_name"]: kinds_of(row) for row in rows} == {
        "Ada": [],
        None: ["handicap:NOT_A_NUMBER", "id:DUPLICATE_KEY"],
    }


TWINS = {
    "known": "2025-01-01T00:00:00Z",
    "of May": "2026-05-01T00:00:00Z",
    "of June": "2026-06-01T00:00:00Z",
    "of never": "9999-12-30T00:00:00Z",
}
DUPLICATE, FUTURE = ["id:DUPLICATE_KEY"], ["updatedAt:FUTURE_TIME"]


@pytest.mark.parametrize(
    ("days", "found"),
    [
        (0, {"known": [], "of May": FUTURE, "of June": FUTURE, "of never": FUTURE}),
        (31, {"known": DUPLICATE, "of May": [], "of June": FUTURE, "of never": FUTURE}),
        (62, {"known": DUPLICATE, "of May": DUPLICATE, "of June": [], "of never": FUTURE}),
    ],
)
def test_a_row_of_the_future_takes_nobodys_place_before_its_hour(days: int, found: dict[str, list[str]]) -> None:
    """A stored row is validated again at every hour."""
    rows = [a_row(teetime.player, firstName=name, updatedAt=time) for name, time in TWINS.items()]
    validated = read_and_validate({teetime.player: rows}, AS_OF + timedelta(days=days))["teetime_player"]
    assert {row["first_name"]: kinds_of(row) for row in validated} == found


def test_which_of_two_equals_counts_depends_on_what_they_say_and_not_on_their_order() -> None:
    one, other = (a_row(teetime.player, firstName=name) for name in ("Ada", "Eve"))
    assert read(teetime.player, one, other) == read(teetime.player, other, one)


def test_the_same_row_twice_counts_once() -> None:
    assert problems(read(teetime.player, a_row(teetime.player), a_row(teetime.player))) == [[], ["id:DUPLICATE_KEY"]]


def test_numbers_that_are_equal_are_one_key() -> None:
    rows = read(scl.member, *(a_row(scl.member, id=text) for text in ("7", "007", "7.0")))
    assert sum(not row["_problems"] for row in rows) == 1


def test_an_id_may_be_used_by_two_clubs() -> None:
    rows = read(teetime.player, a_row(teetime.player), a_row(teetime.player, tenantId="mesa"))
    assert problems(rows) == [[], []]


def test_a_row_without_a_key_has_one_in_the_lake_that_depends_on_nothing_but_itself() -> None:
    rows = [a_row(teetime.player, id=None, firstName=name) for name in ("Ada", "Eve", "Eve")]
    keys = {row["_record_key"] for row in read(teetime.player, *rows)}
    assert len(keys) == 3
    assert {row["_record_key"] for row in read(teetime.player, *rows[:2])} < keys
    assert problems(read(teetime.player, *rows)) == [["id:MISSING_KEY"]] * 3


def test_a_row_without_a_club_belongs_to_none() -> None:
    [row] = read(teetime.player, a_row(teetime.player, tenantId=None))
    assert (row["tenant_id"], row["_problems"]) == ("", ["tenantId:MISSING_TENANT"])


def test_an_empty_row_misses_all_it_must_have() -> None:
    [row] = read(teetime.player, {})
    assert row["_problems"] == [
        "id:MISSING_KEY",
        "tenantId:MISSING_TENANT",
        "createdAt:MISSING_VALUE",
        "updatedAt:MISSING_VALUE",
    ]


# Context


def test_a_row_of_an_unknown_club_is_quarantined() -> None:
    assert validate(teetime.player, a_row(teetime.player, tenantId="nowhere")) == [["tenantId:UNKNOWN_TENANT"]]


@pytest.mark.parametrize(
    ("ahead", "found"),
    [(timedelta(hours=24), []), (timedelta(hours=24, seconds=1), ["updatedAt:FUTURE_TIME"])],
)
def test_what_is_recorded_may_be_a_day_ahead_of_the_hour(ahead: timedelta, found: list[str]) -> None:
    assert validate(teetime.player, a_row(teetime.player, updatedAt=(AS_OF + ahead).isoformat())) == [found]


def test_a_future_time_is_none_any_more_when_its_hour_has_come() -> None:
    row = a_row(teetime.player, updatedAt="2026-05-01T00:00:00Z")
    for as_of, found in ((AS_OF, ["updatedAt:FUTURE_TIME"]), (AS_OF + timedelta(days=30), [])):
        assert problems(read_and_validate({teetime.player: [row]}, as_of)["teetime_player"]) == [found]


def test_what_is_planned_may_lie_ahead() -> None:
    assert validate(scl.member, a_row(scl.member, endedAt="2027-01-01", renewsOn="2027-01-01")) == [[]]


@pytest.mark.parametrize(
    ("payment", "found"),
    [
        ({}, []),
        ({"memberId": "8"}, ["memberId:ORPHAN"]),
        ({"memberId": "9"}, ["memberId:ORPHAN"]),  # who is quarantined
        ({"tenantId": "mesa", "currency": "USD"}, ["memberId:ORPHAN"]),  # a member of another club
        ({"memberId": None}, ["memberId:MISSING_VALUE"]),
        ({"memberId": "seven"}, ["memberId:NOT_A_NUMBER"]),
        ({"currency": "EUR"}, ["currency:WRONG_CURRENCY"]),
        ({"currency": "gbp"}, ["currency:WRONG_CURRENCY"]),
        ({"paidAt": None}, ["paidAt:MISSING_VALUE"]),
        ({"paidAt": None, "status": "PENDING"}, []),
        ({"amountCents": "-1", "kind": "GIFT"}, ["kind:UNKNOWN_VALUE", "amountCents:NEGATIVE_AMOUNT"]),
    ],
)
def test_a_payment_is_validated_with_its_member_and_its_club(payment: dict[str, str | None], found: list[str]) -> None:
    members: list[Delivered] = [a_row(scl.member), a_row(scl.member, id="9", membershipStatus="GOLD")]
    assert validate(scl.payment, a_row(scl.payment, **payment), others={scl.member: members}) == [found]


def test_a_price_without_a_currency_is_no_wrong_currency() -> None:
    times = dict.fromkeys(("teeTimeAt", "bookedAt", "updatedAt"), "2026-01-01T00:00:00Z")
    row = {"id": "b", "tenantId": "links", "playerId": "ada", "status": "PLAYED", "players": "2", **times}
    assert validate(teetime.booking, row, others={teetime.player: [a_row(teetime.player)]}) == [[]]


def test_columns_named_like_those_of_clubs_are_the_rows_own() -> None:
    """`status`, `currency`, `timezone` and `name` are columns of the tenants that rows are validated against."""
    odd = a_row(scl.payment, status="FAILED", currency="USD", paidAt=None)
    assert validate(scl.payment, odd, others={scl.member: [a_row(scl.member)]}) == [["currency:WRONG_CURRENCY"]]
    [club] = read(crm.tenant, a_row(crm.tenant, name="Mine", currency="EUR", timezone="UTC", status="CLOSED"))
    assert [club[key] for key in ("name", "currency", "timezone", "status")] == ["Mine", "EUR", "UTC", "CLOSED"]


def test_everything_wrong_is_named_with_table_record_and_column() -> None:
    con = a_connection()
    read(teetime.player, a_row(teetime.player, handicap="scratch"), a_row(teetime.player, id=None), con=con)
    validate_rows(con, teetime.player, "read_teetime_player", AS_OF)
    named = "tenant_id, service, table_name, service_record_id, column_name, reason, found_by"
    found = con.sql(
        f"select {named} from ({build_faulty_rows_query([teetime.player], 'here')}) order by reason"
    ).fetchall()
    assert found == [
        ("links", "TEETIME", "Player", None, "id", "MISSING_KEY", "here"),
        ("links", "TEETIME", "Player", "ada", "handicap", "NOT_A_NUMBER", "here"),
    ]
