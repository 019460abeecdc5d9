"""Who is meant by an erasure: records that are set aside too; and the money of each year, at the limit of sums."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.privacy.request import YearlyRevenue
from crm_pipeline.privacy.subject import Subject, build_erasure_request, find_subject_records
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy.lake_erasure import erase_rows
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.columns import MAX_SUM_CENTS
from crm_pipeline.tables.outputs.identity import customer_identities, profile_ids, withheld_consents
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.tables.projections import to_arrow_schema
from crm_pipeline_tests.fixtures.histories.small_clubs import SmallClub, open_club
from crm_pipeline_tests.fixtures.servers.warehouses import AS_OF, Row, a_row

ANN = Subject("links", "00000000-0000-0000-0000-000000000001")
BEN = "00000000-0000-0000-0000-000000000002"


def store(con: DuckDBPyConnection, lake: Lake, table: Table, rows: list[Row]) -> None:
    con.register("incoming", pa.Table.from_pylist(rows, to_arrow_schema(table)))
    lake.replace(con, table, "incoming", tenants=[ANN.tenant_id], known_at=AS_OF)


def test_the_money_of_a_year_ends_at_the_limit_of_sums(con: DuckDBPyConnection, lake: Lake) -> None:
    store(con, lake, profile_ids, [a_row(profile_ids, **ANN._asdict())])
    of_years = {2023: (MAX_SUM_CENTS, -1), 2024: (MAX_SUM_CENTS, 1), 2025: (-MAX_SUM_CENTS, -MAX_SUM_CENTS)}
    paid = [(ANN.profile_id, year, cents) for year, amounts in of_years.items() for cents in amounts]
    events = [
        a_row(
            customer_timeline,
            tenant_id=ANN.tenant_id,
            event_id=f"event {number}",
            profile_id=profile_id,
            occurred_at=datetime(year, 7, 1, tzinfo=UTC),
            amount_cents=cents,
            currency="ZAR",
        )
        for number, (profile_id, year, cents) in enumerate([*paid, (BEN, 2023, 7)])
    ]
    store(con, lake, customer_timeline, events)
    con.execute("""
        create temp table people (tenant_id varchar, service varchar, record_id varchar, email varchar,
            phone_number varchar)""")
    request = build_erasure_request(con, lake, {ANN: AS_OF}, at=AS_OF, asked=None, reason=None)
    [ann] = request.people
    assert ann.yearly_revenue == [
        YearlyRevenue(2023, "ZAR", MAX_SUM_CENTS - 1),
        YearlyRevenue(2024, "ZAR", MAX_SUM_CENTS),
        YearlyRevenue(2025, "ZAR", -MAX_SUM_CENTS),
    ]


def test_a_contact_that_is_set_aside_is_of_its_last_profile_when_no_link_says_so_any_more(
    con: DuckDBPyConnection, lake: Lake
) -> None:
    former = "00000000-0000-0000-0000-000000000003"
    ids = [(ANN.profile_id, True, None), (BEN, True, None), (former, False, ANN.profile_id)]
    store(
        con,
        lake,
        profile_ids,
        [
            a_row(profile_ids, tenant_id=ANN.tenant_id, profile_id=id_, is_live=is_live, redirects_to=target)
            for id_, is_live, target in ids
        ],
    )
    of_contacts = {"of Ann": ANN.profile_id, "of Ann's former id": former, "of Ben": BEN}
    store(
        con,
        lake,
        withheld_consents,
        [
            a_row(withheld_consents, tenant_id=ANN.tenant_id, contact_id=contact, profile_id=profile_id)
            for contact, profile_id in of_contacts.items()
        ],
    )
    [records] = find_subject_records(con, lake, [ANN]).values()
    assert [r.record_id for r in records if r.table_name == "Contact"] == ["of Ann", "of Ann's former id"]
    assert erase_rows(con, lake, withheld_consents) == 2
    assert con.sql(f"select contact_id from {lake.create_log_view(con, withheld_consents)}").fetchall() == [("of Ben",)]


def find_records(club: SmallClub, record_id: str) -> set[str]:
    """Returns the records of people that are erased with the profile of this one."""
    [link] = club.rows(customer_identities, f"service_record_id = '{record_id}'")
    subject = Subject(club.tenant, str(link["profile_id"]))
    tables = {table.name for table in PERSON_TABLES.values()}
    lake = club.lake.hours.lake
    with closing(lake.connect()) as con:
        records = find_subject_records(con, lake, [subject])[subject]
    return {record.record_id for record in records if record.table_name in tables}


def test_a_record_that_is_set_aside_is_of_whoever_alone_has_its_account_or_also_has_its_name(tmp_path: Path) -> None:
    club, set_aside = open_club(tmp_path), {"createdAt": "last year"}
    club.add("Player", "ada", firstName="Ada", lastName="Tarn", authUserId="ada-1")
    club.add("Contact", "ada misspelt", firstName="Adda", lastName="Tarn", authUserId="ada-1", **set_aside)
    for name in ("Ben", "Cleo", "Dan", "Eve"):
        club.add("Player", name, firstName=name, lastName="Hall", authUserId="hall-1")
    club.add("Player", "guest", firstName="Guest", lastName="Hall", authUserId="hall-1", **set_aside)
    club.add("Contact", "Ben's", firstName="Ben", lastName="Hall", authUserId="hall-1", **set_aside)
    club.lake.pass_time()
    assert find_records(club, "ada") == {"ada", "ada misspelt"}
    assert find_records(club, "Ben") == {"Ben", "Ben's"}
    assert find_records(club, "Cleo") == {"Cleo"}
