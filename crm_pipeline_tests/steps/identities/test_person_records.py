"""The stored person records: only what has changed is normalised, and what is stored is what a reader would make."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from crm_pipeline.domain.contact_keys.email_and_name import normalise_names
from crm_pipeline.domain.contact_keys.person_records import normalise_people
from crm_pipeline.incremental.model import materialize
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.identities.model import IDENTITIES
from crm_pipeline.steps.identities.person_records import load_people
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.outputs import identity
from crm_pipeline_tests.fixtures.histories.incremental import ALL_MOVES, Hours
from crm_pipeline_tests.fixtures.histories.moves import MOVES
from crm_pipeline_tests.fixtures.histories.moving_services import PEOPLE, MovingServices, delivered

MORNING = datetime(2026, 3, 24, 8, tzinfo=UTC)


@pytest.fixture
def hours(tmp_path: Path) -> Hours:
    """Three clubs of 120 people, not refreshed yet."""
    services = delivered(tmp_path / "services", tenants=3, people=120, events=600, until=MORNING)
    return Hours(tmp_path, services)


@pytest.fixture
def normalised_records(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of records that were normalised, call by call: of each the first names, then the last names."""
    lengths: list[int] = []

    def count_and_normalise(values: pa.ChunkedArray) -> pa.StringArray:
        lengths.append(len(values))
        return normalise_names(values)

    monkeypatch.setattr("crm_pipeline.domain.contact_keys.person_records.normalise_names", count_and_normalise)
    return lengths


def read_people(hours: Hours, at: datetime, *, anew: bool) -> list[tuple[object, ...]]:
    """Returns all rows of `people`, stored or normalised anew."""
    with closing(hours.lake.connect()) as con:
        run = RunContext(con, hours.lake, at, "run", None)
        tenants = run.load_tenant_ids()
        run.load_rows(tuple(PERSON_TABLES.values()))
        run.define_as_of()
        if anew:
            normalise_people(con)
        else:
            load_people(run, tenants)
        return con.sql("select columns(*) from people order by all").fetchall()


def list_stored_records(hours: Hours) -> set[tuple[str, str, str]]:
    """Returns tenant, service and id of the stored records."""
    with closing(hours.lake.connect()) as con:
        stored = hours.lake.create_current_view(con, identity.person_records)
        return set(con.sql(f"select tenant_id, service, service_record_id from {stored}").fetchall())


def list_delivered_rows(services: MovingServices) -> set[tuple[str, str, str, str]]:
    """Returns tenant, service, id and content of each row of people that the services deliver."""
    return {
        (row["tenantId"], service, row["id"], str(sorted(row.items())))
        for table, service in PEOPLE.items()
        for row in services.tables[table]
    }


def test_exactly_the_changed_records_of_an_hour_are_normalised(hours: Hours, normalised_records: list[int]) -> None:
    hours.refresh(MORNING)
    assert sum(normalised_records) == 2 * len(list_stored_records(hours))
    for hour in (1, 2, 3):
        normalised_records.clear()
        before = list_delivered_rows(hours.services)
        hours.services.hour(MORNING + timedelta(hours=hour), MOVES, 40)
        hours.refresh(MORNING + timedelta(hours=hour))
        changed = {row[:3] for row in list_delivered_rows(hours.services) - before}
        assert changed
        assert sum(normalised_records) == 2 * len(changed & list_stored_records(hours))


def test_no_record_is_normalised_in_the_first_hour_of_a_day(hours: Hours, normalised_records: list[int]) -> None:
    hours.refresh(MORNING)
    normalised_records.clear()
    hours.refresh(MORNING + timedelta(days=1))
    assert sum(normalised_records) == 0


def test_stored_people_are_those_that_a_reader_would_make(hours: Hours) -> None:
    hours.refresh(MORNING)
    for hour in (1, 2, 3):
        at = MORNING + timedelta(hours=hour)
        hours.services.hour(at, ALL_MOVES, 40)
        hours.refresh(at)
        assert read_people(hours, at, anew=False) == read_people(hours, at, anew=True)


def test_people_of_clubs_without_stored_records_are_normalised_anew(hours: Hours) -> None:
    hours.extract(MORNING)
    with closing(hours.lake.connect()) as con:
        everyone = RunContext(con, hours.lake, MORNING, "run", None)
        one, *others = everyone.load_tenant_ids()
        materialize(IDENTITIES, replace(everyone, tenants=[one]))
    assert {tenant for tenant, _, _ in list_stored_records(hours)} == {one}
    assert others
    assert read_people(hours, MORNING, anew=False) == read_people(hours, MORNING, anew=True)
