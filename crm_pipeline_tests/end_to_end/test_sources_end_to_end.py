"""Services as they come: databases or folders, broken and mended, shrunken and late; what then is published."""

import csv
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.extract import PastHourError, extract_service
from crm_pipeline.tables import PUBLISHED_TABLES
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import ask, refresh
from crm_pipeline_tests.fixtures.servers.service_databases import service_databases, write_holdable_rows
from crm_pipeline_tests.fixtures.worlds.world import write_world

OF_THE_RUN = ("run_id", "published_at", "refreshed_at", "quarantine_id")
PRESENT = ("customer_profiles", "customer_timeline", "customer_identities", "quarantined_records")
"""The tables that speak of the present alone, and not of what was before."""
FORMATS = "(.csv, .parquet, .jsonl)"
Published = dict[str, list[str]]


@dataclass(frozen=True)
class Refreshed:
    """A home, the folders it was first refreshed from, and what it then published."""

    home: Path
    folders: Path
    published: Published


@pytest.fixture(scope="module")
def refreshed(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Refreshed]:
    """Refreshed once from folders; a test may go on from whatever state it finds the home in."""
    folder = tmp_path_factory.mktemp("folders")
    write_holdable_rows(folder / "services")
    with copied(blank, folder / "home") as home:
        assert refresh(home, folder / "services").failures == []
        yield Refreshed(home, folder / "services", published(home))


@pytest.fixture
def services(refreshed: Refreshed, tmp_path: Path) -> Path:
    """A copy of the folders, to be changed."""
    return Path(shutil.copytree(refreshed.folders, tmp_path / "services"))


def published(home: Path) -> Published:
    """Every published table, as sorted rows without what is the run's own."""
    tables = {}
    for table in PUBLISHED_TABLES:
        columns = ", ".join(column.name for column in table.columns if column.name not in OF_THE_RUN)
        tables[table.name] = sorted(map(repr, ask(home, f"select {columns} from crm.{table.name}")))
    return tables


def present(state: Published) -> Published:
    return {name: state[name] for name in PRESENT}


def edit(file: Path, **columns: str | None) -> None:
    """Add a row with these values below; a column given as None is taken out of the file instead."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    names = [name for name in rows[0] if columns.get(name, "") is not None]
    added = [dict(columns)] if any(columns.values()) else []
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows([*rows, *added])


def events(home: Path, service: str) -> dict[str, int]:
    """Published events of a service, by type."""
    sql = f"select event_type, count(*) from crm.customer_timeline where source = '{service}' group by 1"
    return {str(kind): int(count) for kind, count in ask(home, sql)}


def records(home: Path) -> set[tuple[Any, ...]]:
    return set(ask(home, "select service, service_record_id from crm.customer_identities"))


# Databases


def test_databases_and_folders_of_the_same_rows_publish_the_same(refreshed: Refreshed, own_home: Path) -> None:
    with service_databases(own_home.parent / "services", refreshed.folders) as settings:
        assert refresh(own_home, None, **settings).failures == []
    found = published(own_home)
    assert all(found[name] for name in PRESENT)
    for name, rows in refreshed.published.items():
        assert found[name] == rows, name


# Broken services


@pytest.mark.skipif(not SOAK, reason="half a minute of whole runs: make soak")
def test_a_broken_service_is_named_and_keeps_its_last_snapshot_until_it_is_mended(
    refreshed: Refreshed, services: Path
) -> None:
    home, stamp = refreshed.home, "2026-03-01T00:00:00Z"
    before, known = published(home), records(home)

    (services / "scl" / "TierChange.csv").unlink()
    edit(services / "teetime" / "Player.csv", handicap=None)
    with (services / "messaging" / "Contact.csv").open("a") as file:
        file.write("secret\n")
    lead = {"id": "lead-new", "tenantId": "fynbos-links", "lastName": "Newcombe", "createdAt": stamp}
    edit(services / "crm" / "Lead.csv", **lead, updatedAt=stamp)
    line = len((refreshed.folders / "messaging" / "Contact.csv").read_text().splitlines()) + 1
    assert sorted(refresh(home, services).failures) == [
        f"MESSAGING: Contact.csv cannot be read: line {line}: another number of values than the header has",
        f"SCL: {services}/scl has no TierChange {FORMATS}",
        "TEETIME: Player.csv has no column handicap",
    ]
    assert records(home) - known == {("CRM", "lead-new")}
    assert_nothing_lost(before, published(home))

    shutil.copytree(refreshed.folders, services, dirs_exist_ok=True)
    shutil.rmtree(services / "crm")
    (services / "crm").mkdir()
    change = {"id": "tierchange-new", "tenantId": "fynbos-links", "memberId": "1001", "toTier": "Gold"}
    edit(services / "scl" / "TierChange.csv", **change, changedAt=stamp, updatedAt=stamp)
    [fault] = refresh(home, services).failures
    assert fault.startswith(f"CRM: {services}/crm has no Tenant, no Lead, no Note,")
    assert ("CRM", "lead-new") in records(home)
    assert ask(home, "select 1 from crm.customer_timeline where service_record_id = 'tierchange-new'") == [(1,)]
    assert_nothing_lost(before, published(home))

    assert refresh(home, refreshed.folders).failures == []
    assert present(published(home)) == present(refreshed.published)


def assert_nothing_lost(before: Published, after: Published) -> None:
    for name in ("customer_timeline", "customer_identities"):
        assert set(before[name]) <= set(after[name]), name
    assert len(before["customer_profiles"]) <= len(after["customer_profiles"])


def test_a_table_that_lost_most_of_its_rows_is_believed_only_when_told_so(refreshed: Refreshed, services: Path) -> None:
    home, file = refreshed.home, services / "messaging" / "MessageEvent.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[: len(lines) // 10]))
    edit(services / "messaging" / "Contact.csv", id="contact-new", tenantId="fynbos-links")
    before = published(home)

    fault = "MESSAGING: MessageEvent lost more than half of its rows and is not believed;"
    remedy = "if that is right, run once with --believe MESSAGING.MessageEvent"
    assert refresh(home, services).failures == [f"{fault} {remedy}"]
    assert present(published(home)) == present(before)  # all tables of the service are left as they were

    assert refresh(home, services, accepted_shrinks=("MESSAGING.MessageEvent",)).failures == []
    assert sum(events(home, "MESSAGING").values()) < len(lines) / 5


# The hour


def test_an_hour_before_the_last_extract_is_refused(refreshed: Refreshed) -> None:
    before = published(refreshed.home)
    [fault] = refresh(refreshed.home, refreshed.folders, as_of="2026-03-31T11:59:00Z").failures
    assert fault.startswith("crm_snapshot: as_of 2026-03-31 11:59 is before the last extract of 2026-03-31 12:00;")
    assert fault.endswith("an earlier hour can only be replayed into another --home")
    assert published(refreshed.home) == before


def test_an_extract_that_found_nothing_new_and_those_of_other_clubs(tmp_path: Path) -> None:
    """The first counts as the last extract all the same; the second do not count, since runs may go on side by side."""
    write_world(tmp_path / "services")
    sources = Sources({service: str(tmp_path / "services" / service.lower()) for service in Service})
    lake, noon = Lake(str(tmp_path / "lake"), tmp_path / "spill"), datetime(2026, 3, 31, 12, tzinfo=UTC)

    def extract_at(hours: int, *tenants: str) -> int:
        with closing(lake.connect()) as con:
            step = RunContext(con, lake, noon + timedelta(hours=hours), "run", tenants or None)
            return sum(changes.total for changes in extract_service(step, sources, Service.CRM).changes.values())

    assert extract_at(0) > 0
    assert extract_at(0) == 0
    assert extract_at(2, "fynbos-links") == 0
    assert extract_at(1, "heather-moor") == 0
    with pytest.raises(PastHourError, match="as_of 2026-03-31 13:00 is before the last extract of 2026-03-31 14:00"):
        extract_at(1)
