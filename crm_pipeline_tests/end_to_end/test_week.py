"""A week of hours over services that move ends where one run over the final data ends, and nothing grows for ever.

The nights take part: purge, lake upkeep and reconciliation after every day, the fit on Sunday. Profile ids are told
apart by the records they stand for. Left out is what rightly depends on the hours a home has lived through:

- profile ids and their events, redirects, births and anchors: who was there first, and what merged into what. A link
  is told by its two records, since which of them is nearer to the anchor follows from that;
- STAGE_CHANGED: a change is seen between two runs, so one run alone sees none;
- when a row was first or last seen, asked, changed or published: `updated_at`, `opened_at`, `first_seen_at` and
  `last_seen_at` of what is quarantined; closed reviews, which nobody asks who never met the question;
- of a booking that was cancelled twice, when first: the services here cancel none twice.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crm_pipeline.cli.options import override_environment
from crm_pipeline.definitions import build_defs
from crm_pipeline.defs.dagster_context import AS_OF_TAG
from crm_pipeline.resources.dagster_storage.instance import open_instance
from crm_pipeline_tests.fixtures.histories.moves import MOVES
from crm_pipeline_tests.fixtures.histories.moving_services import MovingServices, delivered
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.sizes import measured
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import ask, clean_environment, refresh

pytestmark = pytest.mark.skipif(not SOAK, reason="half an hour of refreshes: make soak")
SUNDAY = datetime(2026, 3, 22, 4, tzinfo=UTC)
DAY, HOURS, MOVES_AN_HOUR = 24, 168, 8
LAST = SUNDAY + timedelta(hours=HOURS)
FITTED_AT = LAST + timedelta(minutes=30)
UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
STATES = {
    "identities": """
        select tenant_id, service, service_record_id, profile_id, is_primary, email_is_shared, phone_is_shared
        from crm.customer_identities""",
    "links": """
        select tenant_id, rule, confidence, least(one, other), greatest(one, other) from (
            select *, service || service_record_id as one, linked_to_service || linked_to_record_id as other
            from crm.customer_identities where rule <> 'ANCHOR') links""",
    "profiles": "select (to_jsonb(p) - 'updated_at' - 'row_hash') from crm.customer_profiles p",
    "timeline": "select to_jsonb(t) - 'row_hash' from crm.customer_timeline t where event_type <> 'STAGE_CHANGED'",
    "questions": """
        select to_jsonb(r) - 'opened_at' - 'row_hash' from crm.identity_reviews r where closed_at is null""",
    "quarantine": """
        select to_jsonb(q) - 'first_seen_at' - 'last_seen_at' - 'row_hash' from crm.quarantined_records q""",
    "churn models": """
        select to_jsonb(m) - 'row_hash' from crm.churn_models m
        where fitted_at = (select max(fitted_at) from crm.churn_models)""",
}


LEVEL = ("lake files", "warehouse bytes", "open files", "memory MB")
"""What must stay as it was on the second day. Files are counted after the night's upkeep."""


@dataclass
class Life:
    """A home and the services it reads, hour by hour."""

    home: Path
    services: MovingServices
    sizes: list[Counter[str]] = field(default_factory=list)
    """After every tick."""

    def tick(self, hour: datetime, moves: int) -> None:
        """An hour passes, and its refresh."""
        self.services.hour(hour, MOVES, moves)
        assert refresh(self.home, self.services.folder, as_of=hour.isoformat()).failures == []
        self.services.profiles = ask(self.home, "select tenant_id, id::text from crm.customer_profiles order by 1, 2")
        self.sizes.append(measured(self.home))

    def night(self, hour: datetime) -> None:
        """What the schedules start between two hours."""
        for job in ("purge_history", "lake_upkeep", "reconcile"):
            run(self.home, job, hour + timedelta(minutes=30))


def run(home: Path, name: str, as_of: datetime) -> None:
    """A job as its schedule starts it."""
    with clean_environment():
        settings = override_environment(home)
        with open_instance(settings) as instance:
            job = build_defs(settings).resolve_job_def(name)
            tags = {AS_OF_TAG: as_of.isoformat()}
            assert job.execute_in_process(instance=instance, tags=tags).success


def people_of(home: Path) -> dict[str, str]:
    """Per profile id the person it stands for, told by the first of the records."""
    rows = ask(
        home,
        "select profile_id::text, min(service || ' ' || service_record_id) from crm.customer_identities group by 1",
    )
    return dict(rows)


def published(home: Path) -> dict[str, Counter[str]]:
    """Everything that must not depend on the hours a home has lived through, with people for profile ids."""
    people = people_of(home)
    state: dict[str, Counter[str]] = {}
    for name, query in STATES.items():
        rows = (json.dumps(row, sort_keys=True) for (row,) in ask(home, f"select to_jsonb(t) from ({query}) t"))
        told = (UUID.sub(lambda found: people.get(found[0], "nobody"), row) for row in rows)
        state[name] = Counter(json.dumps(json.loads(row, parse_float=_rounded), sort_keys=True) for row in told)
    return state


def _rounded(number: str) -> float:
    """Sums of a hundred thousand numbers in another order differ in the last places."""
    return float(f"{float(number):.9g}")


def renamed(old: Path, new: Path) -> dict[str, str]:
    """What the ids that staff wrote down in `old` are in `new`."""
    ids = dict(ask(old, "select profile_id::text, redirects_to::text from crm.profile_ids"))
    people, again = people_of(old), {person: profile for profile, person in people_of(new).items()}
    return {
        profile: again[people[target or profile]] for profile, target in ids.items() if (target or profile) in people
    }


@pytest.fixture(scope="module")
def lived(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """A home after a week, its fit, and an hour in which nothing more happens but that the fit is applied."""
    folder = tmp_path_factory.mktemp("week")
    services = delivered(folder / "services", tenants=2, people=80, events=1200, until=SUNDAY - timedelta(hours=1))
    with copied(blank, folder / "home") as home:
        life = Life(home, services)
        for passed in range(HOURS + 1):
            life.tick(SUNDAY + timedelta(hours=passed), MOVES_AN_HOUR)
            if (passed + 1) % DAY == 0:
                life.night(SUNDAY + timedelta(hours=passed))
        run(home, "fit_churn", FITTED_AT)
        life.tick(FITTED_AT + timedelta(minutes=30), 0)
        yield life


@pytest.fixture(scope="module")
def at_once(lived: Life, blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh home that meets the final data alone; what staff wrote about profiles is about the same people there."""
    folder = tmp_path_factory.mktemp("once")
    with copied(blank, folder / "home") as home:
        assert refresh(home, lived.services.folder, as_of=LAST.isoformat()).failures == []
        lived.services.deliver(folder / "services", renamed(lived.home, home))
        run(home, "fit_churn", FITTED_AT)
        last = FITTED_AT + timedelta(minutes=30)
        assert refresh(home, folder / "services", as_of=last.isoformat()).failures == []
        yield home


def test_everything_happened(lived: Life) -> None:
    """Else the rest would prove little."""
    assert set(lived.services.moved) == {move.__name__ for move in MOVES}
    events = dict(ask(lived.home, "select event_type, count(*) from crm.profile_events group by 1"))
    assert {"MERGED", "SPLIT", "RETIRED"} <= set(events)
    assert ask(lived.home, "select count(*) from crm.quarantined_records where reason = 'ORPHAN'") != [(0,)]


@pytest.mark.parametrize("name", STATES)
def test_a_week_of_hours_ends_where_one_run_would(name: str, lived: Life, at_once: Path) -> None:
    hourly, once = published(lived.home)[name], published(at_once)[name]
    assert hourly
    assert sorted((hourly - once).elements()) == sorted((once - hourly).elements())


def test_no_query_leaves_anything_behind(lived: Life) -> None:
    assert [size["spilled files"] for size in lived.sizes] == [0] * len(lived.sizes)


def test_nothing_grows_for_ever(lived: Life) -> None:
    """What is history (changes in the lake, events of Dagster until they are purged) grows no faster than at first."""
    _, second, third, *_, before, last = lived.sizes[DAY::DAY]
    for name in LEVEL:
        assert last[name] <= 1.25 * second[name], name
    for name in last.keys() - set(LEVEL):
        assert last[name] - before[name] <= 1.5 * (third[name] - second[name]), name
