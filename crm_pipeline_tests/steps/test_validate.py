"""What validation and extraction do to lakes of before: a zone that changed, ids and columns of older versions."""

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table

from crm_pipeline.resources.lake import rows as lake_rows
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.extract import extract_service, find_extraction_state
from crm_pipeline.tables.outputs import identity, operations
from crm_pipeline.tables.sources import scl, teetime
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.histories.incremental import SERVICES, Hours
from crm_pipeline_tests.fixtures.histories.moving_services import delivered

MORNING = datetime(2026, 3, 24, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def hours(tmp_path: Path) -> Hours:
    return Hours(tmp_path, delivered(tmp_path / "services", tenants=1, people=30, events=60, until=MORNING))


def ask(hours: Hours, table: Table, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    with closing(hours.lake.connect()) as con:
        view = hours.lake.create_current_view(con, table)
        return con.sql(f"select {columns} from {view} where {where} order by all").fetchall()


def extract_crm_alone(hours: Hours, at: datetime) -> None:
    """Extracts the CRM while the other services are down, and validates all."""
    sources = Sources({Service.CRM: str(hours.services.folder / "crm")})
    with closing(hours.lake.connect()) as con:
        extract_service(RunContext(con, hours.lake, at, "run", None), sources, Service.CRM)
    for service in SERVICES:
        hours.validate(service, at)


def test_a_day_begins_at_midnight_of_the_zone_that_the_club_has_now(hours: Hours) -> None:
    member = hours.services.tables["Member"][0]
    member.update(joinedAt="2020-05-01", renewsOn="2026-04-30T22:30:00Z")
    hours.services.tables["Tenant"][0]["timezone"] = "Europe/Berlin"
    hours.services.deliver(hours.services.folder)
    hours.extract(MORNING)
    question = (scl.member, "joined_at, renews_on", f"id = {member['id']}")
    assert ask(hours, *question) == [(datetime(2020, 4, 30, 22, tzinfo=UTC), date(2026, 5, 1))]
    hours.services.tables["Tenant"][0]["timezone"] = "America/New_York"
    hours.services.deliver(hours.services.folder)
    extract_crm_alone(hours, MORNING + HOUR)
    assert ask(hours, *question) == [(datetime(2020, 5, 1, 4, tzinfo=UTC), date(2026, 4, 30))]
    version = hours.lake.version(scl.member)
    extract_crm_alone(hours, MORNING + 2 * HOUR)
    hours.extract(MORNING + 3 * HOUR)
    assert hours.lake.version(scl.member) == version


def test_ids_that_get_a_canonical_form_keep_the_ids_of_their_profiles(
    hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lake in which ids stand as delivered, as an older version left it, then read by this one."""
    for table, column in (("Player", "id"), ("Booking", "playerId"), ("HandicapUpdate", "playerId")):
        for row in hours.services.tables[table]:
            row[column] = row[column].split("-")[-1] + ".0"
    for row in hours.services.tables["CompetitionEntry"]:
        row["playerId"] = row["playerId"].split("-")[-1] + ".0"
    hours.services.deliver(hours.services.folder)
    with monkeypatch.context() as older:
        older.setattr("crm_pipeline.domain.ingest.value_parsing.build_canonical_id_sql", lambda text: text)
        older.setattr("crm_pipeline.steps.identities.resolution.build_canonical_id_sql", lambda text: text)
        hours.refresh(MORNING)
    before = dict(ask(hours, identity.customer_identities, "service_record_id, profile_id", "service = 'TEETIME'"))
    assert before
    assert all(record.endswith(".0") for record in before)
    hours.extract(MORNING + HOUR)
    forget_watermarks(hours, MORNING + HOUR)
    # An id is made from the record's former id, which the check of links says.
    hours.compute(MORNING + HOUR, links_hold=False)
    after = dict(ask(hours, identity.customer_identities, "service_record_id, profile_id", "service = 'TEETIME'"))
    assert after == {record.removesuffix(".0"): profile for record, profile in before.items()}
    assert ask(hours, identity.profile_events, "event_type", "event_type <> 'CREATED'") == []


def test_a_lake_without_the_later_columns_is_read_and_keeps_its_hashes(
    hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        for column in list(lake_rows.LATER_SOURCE_COLUMNS):
            older.delitem(lake_rows.LATER_SOURCE_COLUMNS, column)
        extract_services(hours, MORNING)
    assert ask(hours, teetime.player, "count(*), count(_warnings)") == [
        (ask(hours, teetime.player, "count(*)")[0][0], 0)
    ]
    versions = {table: hours.lake.version(table) for table in (teetime.player, teetime.booking)}
    hours.extract(MORNING + HOUR)
    assert {table: hours.lake.version(table) for table in versions} == versions


def test_rows_read_with_other_normal_forms_are_read_anew(hours: Hours, monkeypatch: pytest.MonkeyPatch) -> None:

    with monkeypatch.context() as older:
        older.setattr("crm_pipeline.steps.extract.NORMALISATION_VERSION", "0")
        extract_services(hours, MORNING)
    with closing(hours.lake.connect()) as con:
        run = RunContext(con, hours.lake, MORNING + HOUR, "run", None)
        assert find_extraction_state(run, Service.SCL) is None
    extract_services(hours, MORNING + HOUR)
    with closing(hours.lake.connect()) as con:
        assert find_extraction_state(RunContext(con, hours.lake, MORNING + HOUR, "run", None), Service.SCL)


def extract_services(hours: Hours, at: datetime) -> None:
    sources = Sources({service: str(hours.services.folder / service.lower()) for service in Service})
    for service in SERVICES:
        with closing(hours.lake.connect()) as con:
            extract_service(RunContext(con, hours.lake, at, "run", None), sources, service)


def forget_watermarks(hours: Hours, at: datetime) -> None:
    """Makes the next refresh a full one, as a change of the code does."""
    with closing(hours.lake.connect()) as con:
        stored = hours.lake.create_current_view(con, operations.worked_inputs)
        con.execute(f"create temp table nothing as from {stored} limit 0")
        RunContext(con, hours.lake, at, "run", None).replace(operations.worked_inputs, "nothing", None)
