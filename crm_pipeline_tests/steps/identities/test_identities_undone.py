"""Whole runs: a key that two people share appears and is corrected, and everything published is as before.

The same hours replayed from the lake alone give the same ids, events and redirects.
"""

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crm_pipeline.cli.options import override_environment
from crm_pipeline.resources.connections import open_lake
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.identities.atomic_commit import commit_identities, roll_back_partial_commits
from crm_pipeline.steps.identities.resolution import RESOLVED_RELATIONS, read_records, resolve_tenants
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline_tests.fixtures.histories.hours import State, stored
from crm_pipeline_tests.fixtures.homes.changed_identities import (
    ADRIAAN,
    BRIAN,
    FRANK,
    ISLA,
    MERGED,
    NOON,
    ONE,
    RUTH,
    TWO,
    Tables,
    correct_keys,
    id_of,
    ids,
    present,
    share_keys,
    untouched,
)
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.runs import hour
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import SAMPLE, ask, clean_environment, refresh

NEXT_WEEK, WEEK_AFTER = "2026-04-07T13:00:00Z", "2026-04-14T14:00:00Z"


@dataclass(frozen=True)
class Hours:
    """A home after three hours, and what was published after each."""

    home: Path
    tables: tuple[Tables, ...]
    ids: tuple[Tables, ...]
    merged_notes: list[tuple[Any, ...]]


def three_hours(home: Path, services: Path, second: str, third: str) -> Hours:
    """From a refreshed home on: the keys are shared at the second hour, and corrected at the third."""
    tables, known = [present(home)], [ids(home)]
    share_keys(services)
    assert refresh(home, services, as_of=second).failures == []
    tables, known = [*tables, present(home)], [*known, ids(home)]
    notes = ask(home, f"select event_type from crm.customer_timeline where profile_id = '{id_of(ADRIAAN)}'")
    correct_keys(services)
    assert refresh(home, services, as_of=third).failures == []
    return Hours(home, (*tables, present(home)), (*known, ids(home)), notes)


@pytest.fixture(scope="module")
def one_day(first_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hours]:
    """Three hours of one day, and of one local day of every club."""
    folder = tmp_path_factory.mktemp("one-day")
    with copied(first_run, folder / "home") as home:
        services = Path(shutil.copytree(SAMPLE, folder / "services"))
        yield three_hours(home, services, ONE, TWO)


def test_a_key_that_appears_makes_one_profile_of_two(one_day: Hours) -> None:
    before, merged, _ = one_day.tables
    for older, younger in MERGED:
        holders = {
            row["profile_id"]
            for row in merged["customer_identities"]
            if (row["tenant_id"], row["service"], row["service_record_id"]) in (older, younger)
        }
        assert holders == {id_of(older)}
        assert {"tenant_id": older[0], "profile_id": id_of(younger), "redirects_to": id_of(older)}.items() <= next(
            row for row in one_day.ids[1]["profile_ids"] if row["profile_id"] == id_of(younger)
        ).items()
    assert len(merged["customer_profiles"]) == len(before["customer_profiles"]) - len(MERGED)


def test_consent_scores_and_notes_are_those_of_the_merged_person(one_day: Hours) -> None:
    before, merged, _ = ({row["id"]: row for row in tables["customer_profiles"]} for tables in one_day.tables)
    isla, ruth, both = before[id_of(ISLA)], before[id_of(RUTH)], merged[id_of(ISLA)]
    assert (isla["email_opt_in"], ruth["email_opt_in"], both["email_opt_in"]) == (False, True, True)
    frank, brian, member = before[id_of(FRANK)], before[id_of(BRIAN)], merged[id_of(BRIAN)]
    assert (frank["lifecycle_stage"], brian["lifecycle_stage"], member["lifecycle_stage"]) == (
        "CHURNED",
        *["MEMBER"] * 2,
    )
    assert member["lifetime_value"] == frank["lifetime_value"] > brian["lifetime_value"]
    assert ("NOTE_ADDED",) in one_day.merged_notes, "a note on Zola's id follows her"


def test_a_key_that_is_corrected_restores_everything_exactly(one_day: Hours, first_run: Path, tmp_path: Path) -> None:
    before, merged, after = one_day.tables
    assert after == untouched(first_run, tmp_path, TWO)
    assert all(merged[name] != before[name] for name in before)
    assert one_day.ids[2] == one_day.ids[0]


def test_the_events_of_each_id_are_those_of_the_three_hours(one_day: Hours) -> None:
    events = "select profile_id::text, event_type, other_profile_id::text from crm.profile_events"
    published = ask(one_day.home, f"{events} where occurred_at > '{NOON}'")
    assert set(published) == {
        event
        for older, younger in MERGED
        for event in (
            (id_of(younger), "MERGED", id_of(older)),
            (id_of(younger), "RESURRECTED", None),
            (id_of(older), "SPLIT", id_of(younger)),
        )
    }


@pytest.mark.skipif(not SOAK, reason="half a minute of whole runs: make soak")
def test_over_weeks_too_it_is_as_if_nothing_had_happened(
    refreshed: Path, services: Path, first_run: Path, tmp_path: Path
) -> None:
    weeks = three_hours(refreshed, services, NEXT_WEEK, WEEK_AFTER)
    assert weeks.tables[-1] == untouched(first_run, tmp_path, WEEK_AFTER)


# --- rebuilding -------------------------------------------------------------------------------------------------------


def replayed(original: Lake, folder: Path, hours: list[str]) -> State:
    """The identities of a new lake that lives through the same hours, its source rows read back from the old one."""
    lake = Lake(str(folder / "lake"), folder / "spill")
    for at in hours:
        with closing(lake.connect()) as con:
            for table in source_metadata.tables.values():
                log = original.create_log_view(con, table, name="log")
                con.execute(f"""
                    create or replace temp table known as select * from {log} where _known_at <= '{at}'
                    qualify row_number() over (partition by tenant_id, _record_key order by _version desc) = 1""")
                lake.replace(con, table, "(from known where not _deleted)", tenants=None, known_at=hour(at))
            run = RunContext(con, lake, hour(at), "replay", None)
            tenants = run.load_all_rows()
            assert roll_back_partial_commits(run, tenants) == []
            read_records(run)
            resolve_tenants(run, tenants)
            commit_identities(run, tenants)
    return stored(lake)


def test_a_cold_rebuild_that_replays_the_hours_gives_the_same_ids_events_and_redirects(
    one_day: Hours, tmp_path: Path
) -> None:
    with clean_environment():
        lake = open_lake(override_environment(one_day.home))
    assert replayed(lake, tmp_path / "replayed", [NOON, ONE, TWO]) == stored(lake)


def test_two_cold_builds_give_the_same_ids(first_run: Path, tmp_path: Path) -> None:
    with clean_environment():
        lake = open_lake(override_environment(first_run))
    first, second = (replayed(lake, tmp_path / name, [NOON]) for name in ("first", "second"))
    assert first == second == stored(lake)
    assert all(first[table.name] for table in RESOLVED_RELATIONS)
