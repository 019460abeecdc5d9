"""Which clubs a run processes, and whose own row stops them."""

from zoneinfo import available_timezones

import pytest

from crm_pipeline.domain.batches import split_into_batches
from crm_pipeline.domain.ingest.tenant_validation import (
    Tenant,
    build_faulty_settings_query,
    build_tenants_table,
    find_usable_tenants,
    format_unknown_tenants,
)
from crm_pipeline.tables.sources import crm
from crm_pipeline_tests.fixtures.input.delivered import LINKS, MESA, Delivered, a_connection, a_row, read


def validate(*rows: Delivered) -> tuple[list[Tenant], dict[str, list[str]]]:
    con = a_connection()
    read(crm.tenant, *rows, con=con)
    return find_usable_tenants(con, "read_crm_tenant")


def test_a_club_is_as_its_row_says() -> None:
    assert validate(a_row(crm.tenant, minConfidence="0.9")) == ([LINKS._replace(min_confidence=0.9)], {})


def test_the_least_confidence_has_a_default() -> None:
    assert validate(a_row(crm.tenant)) == ([LINKS], {})


@pytest.mark.parametrize(("status", "served"), [("ACTIVE", True), ("SUSPENDED", True), ("CLOSED", False)])
def test_a_closed_club_is_neither_served_nor_faulty(status: str, served: bool) -> None:
    usable, faulty = validate(a_row(crm.tenant, status=status))
    assert (bool(usable), faulty) == (served, {})


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("countryCode", "UK", "INVALID_SETTING"),
        ("countryCode", "gb", "INVALID_SETTING"),
        ("countryCode", None, "MISSING_VALUE"),
        ("currency", "pounds", "INVALID_SETTING"),
        ("currency", "gbp", "INVALID_SETTING"),
        ("timezone", "London", "INVALID_SETTING"),
        ("timezone", "+01:00", "INVALID_SETTING"),
        ("timezone", "localtime", "INVALID_SETTING"),  # a time zone to Python, and none to DuckDB
        ("minConfidence", "0", "INVALID_SETTING"),
        ("minConfidence", "1.01", "INVALID_SETTING"),
        ("minConfidence", "1e999", "INVALID_SETTING"),
        ("minConfidence", "85 %", "NOT_A_NUMBER"),
        ("status", "OPEN", "UNKNOWN_VALUE"),
        ("id", "x" * 201, "TOO_LONG"),
        ("id", "the...links", "INVALID_SETTING"),  # Dagster takes it for a range of partitions
        ("id", "the\tlinks", "INVALID_SETTING"),
    ],
)
def test_a_wrong_setting_stops_that_club_alone(column: str, value: str | None, reason: str) -> None:
    usable, faulty = validate(
        a_row(crm.tenant, **{column: value}),
        a_row(crm.tenant, id="mesa", name="Mesa Verde", countryCode="US", currency="USD", timezone="America/Phoenix"),
    )
    assert usable == [MESA]
    assert list(faulty.values()) == [[f"{column}:{reason}"]]


def test_every_wrong_setting_is_named() -> None:
    _, faulty = validate(a_row(crm.tenant, countryCode="UK", currency="", timezone="London"))
    assert faulty == {"links": ["currency:MISSING_VALUE"]}  # what the row lacks comes first
    _, faulty = validate(a_row(crm.tenant, countryCode="UK", timezone="London"))
    assert faulty == {"links": ["countryCode:INVALID_SETTING", "timezone:INVALID_SETTING"]}


def test_a_row_without_an_id_is_no_club() -> None:
    assert validate(a_row(crm.tenant, id=None)) == ([], {})


def test_of_two_rows_of_a_club_the_better_counts_and_the_other_is_no_fault_of_the_clubs() -> None:
    assert validate(a_row(crm.tenant), a_row(crm.tenant, minConfidence="85 %")) == ([LINKS], {})


def test_only_settings_are_quarantined_here_since_the_snapshot_has_the_rest() -> None:
    con = a_connection()
    faulty = {"links": ["currency:MISSING_VALUE"], "the 'mesa'": ["timezone:INVALID_SETTING"]}
    found = con.sql(
        f"select tenant_id, column_name, reason, service from ({build_faulty_settings_query(con, faulty)})"
    ).fetchall()
    assert found == [("the 'mesa'", "timezone", "INVALID_SETTING", "CRM")]


def test_tenants_nobody_knows_are_named_on_one_line() -> None:
    message = format_unknown_tenants(["two\nlines", "\x1b[31mred"], ["links", "bell\a"])
    assert message == r"no such tenant: \x1b[31mred, two\nlines; known are bell\x07, links"


def test_no_clubs_make_an_empty_table() -> None:
    assert build_tenants_table([]).num_rows == 0
    assert build_tenants_table([]).schema == build_tenants_table([LINKS]).schema


def test_every_time_zone_python_knows_can_be_counted_in() -> None:
    usable, faulty = validate(*(a_row(crm.tenant, id=zone, timezone=zone) for zone in available_timezones()))
    assert len(usable) + len(faulty) == len(available_timezones())
    assert set(faulty) <= {"localtime"}
    con = a_connection(*usable)
    assert con.sql("select count(timezone(timezone, timestamp '2026-01-01')) from tenants").fetchall() == [
        (len(usable),)
    ]


def test_tenants_are_taken_together_up_to_a_number_of_rows() -> None:
    rows = {"a": 3, "b": 2, "c": 1, "giant": 20, "d": 1}
    assert list(split_into_batches([*rows, "empty"], rows, max_rows=5)) == [
        ["a", "b"],
        ["c"],
        ["giant"],
        ["d", "empty"],
    ]
    assert list(split_into_batches([], {}, max_rows=5)) == []
