"""Every odd row and club of the corpus in one real refresh: kept as it should be, or set aside for its reasons."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table

from crm_pipeline.cli.run import RefreshOutcome
from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import parse_time
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import crm, scl, teetime
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.support import AS_OF, ask, refresh
from crm_pipeline_tests.fixtures.input.cases import Case, Quarantined
from crm_pipeline_tests.fixtures.input.delivery import write
from crm_pipeline_tests.fixtures.input.number_rows import NUMBER_ROWS
from crm_pipeline_tests.fixtures.input.odd_clubs import REFUSED, SERVED
from crm_pipeline_tests.fixtures.input.text_rows import FOUND_LATER, TEXT_ROWS
from crm_pipeline_tests.fixtures.input.time_rows import TIME_ROWS

WELL_KNOWN = [Case("member", scl.member, {"id": 1}), Case("ada", teetime.player)]
"""Whom the payments and bookings of the corpus are of."""
MEMBERS = [
    Case(f"member of {club.name}", scl.member, {"id": number, "tenantId": club.name, "firstName": "Ada"})
    for number, club in enumerate(SERVED, 5_000)
]
ODD_ROWS = [*TEXT_ROWS, *NUMBER_ROWS, *TIME_ROWS]
CASES = [Case("links", crm.tenant), *WELL_KNOWN, *SERVED, *REFUSED, *MEMBERS, *ODD_ROWS, *FOUND_LATER]
QUARANTINED = (
    "select service, table_name, service_record_id, tenant_id, column_name, reason from crm.quarantined_records"
)


@dataclass(frozen=True)
class Refreshed:
    """What came of the corpus."""

    home: Path
    outcome: RefreshOutcome
    sound: dict[Table, list[dict[str, Any]]]
    quarantined: Counter[Quarantined]


@pytest.fixture(scope="module")
def refreshed(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Refreshed]:
    """The whole corpus, refreshed once."""
    folder = tmp_path_factory.mktemp("odd")
    services = write(folder / "services", rows())
    with copied(blank, folder / "home") as home:
        outcome = refresh(home, services)
        yield Refreshed(home, outcome, sound_rows(home), Counter(ask(home, QUARANTINED)))


def rows() -> dict[Table, list[dict[str, Any]]]:
    """Everything, as delivered."""
    found = defaultdict(list)
    for case in CASES:
        found[case.table].append(case.delivered())
    return found


def sound_rows(home: Path) -> dict[Table, list[dict[str, Any]]]:
    """What every later step of a run takes for sound."""
    lake = Lake(str(home / "lake"), home / "spill")
    with closing(lake.connect()) as con:
        RunContext(con, lake, parse_time("test", AS_OF), "", None).load_all_rows()
        found = {}
        for table in {case.table for case in CASES}:
            relation = con.sql(f"select {', '.join(c.key for c in table.columns)} from {to_lake_name(table)}")
            names = [column.name for column in table.columns]
            found[table] = [dict(zip(names, row, strict=True)) for row in relation.fetchall()]
    return found


@pytest.mark.parametrize("case", ODD_ROWS, ids=[case.name for case in ODD_ROWS])
def test_an_odd_row_is_kept_or_set_aside_for_its_reasons(refreshed: Refreshed, case: Case) -> None:
    if case.faults:
        assert case.quarantined() <= set(refreshed.quarantined)
        assert case.kept() not in refreshed.sound[case.table]
    else:
        [found] = [row for row in refreshed.sound[case.table] if row["id"] == case.kept()["id"]]
        assert found == case.kept()


@pytest.mark.parametrize("case", FOUND_LATER, ids=[case.name for case in FOUND_LATER])
def test_what_is_found_later_is_set_aside_too(refreshed: Refreshed, case: Case) -> None:
    assert case.kept() in refreshed.sound[case.table]
    assert case.quarantined() <= set(refreshed.quarantined)


def test_nothing_else_is_set_aside_and_nothing_is_lost(refreshed: Refreshed) -> None:
    assert refreshed.quarantined == Counter(row for case in CASES for row in case.quarantined())
    sound = Counter(case.table.name for case in CASES if not case.faults or case in FOUND_LATER)
    found = {table.name: len(rows) for table, rows in refreshed.sound.items() if rows}
    # What a setting of a club means is no matter of its row.
    assert found == {**sound, "Tenant": 1 + len(SERVED) + sum("INVALID_SETTING" in club.faults[0] for club in REFUSED)}


def test_a_club_may_be_called_anything_a_partition_can(refreshed: Refreshed) -> None:
    """Each has its profile and its timeline; and no file is anywhere but where it should be."""
    names = {"links", *(club.name for club in SERVED)}
    profiles = dict(ask(refreshed.home, "select tenant_id, count(*) from crm.customer_profiles group by 1"))
    assert set(profiles) == names
    assert {profiles[club.name] for club in SERVED} == {1}
    assert set(ask(refreshed.home, "select distinct tenant_id from crm.customer_timeline")) == {
        (name,) for name in names
    }
    assert {path.name for path in refreshed.home.parent.iterdir()} == {"home", "services"}


def test_clubs_that_cannot_be_served_are_named_with_what_is_wrong(refreshed: Refreshed) -> None:
    [fault] = refreshed.outcome.failures
    assert fault.startswith("published: never published: ")
    assert "\n" not in fault
    for club in REFUSED:
        name = escape_invisible_characters(club.kept()["id"])
        assert f"{name} (its Tenant row is wrong: {club.faults[0]})" in fault
