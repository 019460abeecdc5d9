"""A club that cannot be computed, checked or published is named; all others publish what they would have without it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from shutil import copytree
from typing import Any, Final, NamedTuple

import pytest
from sqlalchemy import Table

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.warehouse.publishing.publisher import Publisher
from crm_pipeline.steps.publish import gate, publish
from crm_pipeline.tables.outputs import identity, operations, profiles, timeline
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.moving_home import Clock, list_profiles, read_published, refresh_here
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import refresh

CLUBS: Final = 200 if SOAK else 3
"""One of them is damaged."""
STORED: Final = (
    operations.quarantined_records,
    identity.person_records,
    identity.customer_identities,
    identity.profile_ids,
    timeline.customer_timeline,
    profiles.customer_profiles,
    operations.data_quality_results,
    operations.quality_measures,
)
FindTenants = Callable[..., Sequence[str] | None]


class BrokenRowsError(Exception):
    """What the rows of a tenant lead to."""


def list_places() -> Iterator[tuple[str, Any, str, FindTenants]]:
    """Yields where a tenant's rows can fail: its name, owner and name of the function, and the tenants of a call."""

    def store(table: Table) -> FindTenants:
        return lambda *arguments, **options: options["tenants"] if arguments[2] is table else ()

    for table in STORED:
        yield f"storing {table.name}", Lake, "replace", store(table)
    yield "finding its pending rows", publish, "find_pending_rows", lambda *arguments: arguments[3]
    yield "evaluating its rows", gate, "evaluate_rows", lambda *arguments: arguments[3]
    yield "comparing its tables", gate, "compare_tables", lambda *arguments: arguments[1]
    yield "publishing it", Publisher, "publish", lambda *arguments: [arguments[1]]


PLACES: Final = {name: rest for name, *rest in list_places()}


def plant_failure(patch: pytest.MonkeyPatch, place: str, tenant: str) -> None:
    """Makes the function at this place fail whenever it is called for the tenant, alone or among others."""
    owner, name, find_tenants = PLACES[place]
    original = getattr(owner, name)

    def fail_or_call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        if tenant in (find_tenants(*arguments, **options) or ()):
            raise BrokenRowsError
        return original(*arguments, **options)

    patch.setattr(owner, name, fail_or_call)


class Hour(NamedTuple):
    """The services as of the end of an hour, and every row published of them, by table."""

    services: Path
    as_of: str
    rows: dict[str, list[dict[str, Any]]]


class Undisturbed(NamedTuple):
    """A home after its first hour, to be copied, and the two hours that follow where nothing fails."""

    morning: Path
    hours: list[Hour]
    regrouped: list[str]
    """The tenants whose records the first of these hours links in another way: every model stores rows of them."""


@pytest.fixture(scope="module")
def undisturbed(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """What is published of random clubs where nothing fails."""
    folder = tmp_path_factory.mktemp("undisturbed")
    clock, hours = Clock(folder / "services", CLUBS), list[Hour]()
    with copied(blank, folder / "morning") as home:
        refresh_here(home, clock)
        before = list_links(read_published(home))
    with copied(folder / "morning", folder / "home") as home:
        for number in range(2):
            clock.pass_hour(list_profiles(home))
            refresh_here(home, clock)
            services = copytree(clock.services.folder, folder / f"services-{number}")
            hours.append(Hour(services, clock.as_of, read_published(home)))
    regrouped = sorted({tenant for tenant, *_ in before ^ list_links(hours[0].rows)})
    return Undisturbed(folder / "morning", hours, regrouped)


def list_links(rows: dict[str, list[dict[str, Any]]]) -> set[tuple[str, ...]]:
    """Returns tenant, service, record and profile of every published link."""
    columns = ("tenant_id", "service", "service_record_id", "profile_id")
    return {tuple(str(row[name]) for name in columns) for row in rows[identity.customer_identities.name]}


def leave_out(rows: dict[str, list[dict[str, Any]]], tenant: str) -> dict[str, list[dict[str, Any]]]:
    """Returns the rows of other tenants, by table."""
    return {name: [row for row in of_table if row.get("tenant_id") != tenant] for name, of_table in rows.items()}


@pytest.mark.parametrize("place", PLACES if SOAK else [*PLACES][::3])
def test_others_publish_what_they_would_have_without_it(
    undisturbed: Undisturbed, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, mended = undisturbed.hours
    tenant = Random(place).choice(undisturbed.regrouped)
    with copied(undisturbed.morning, tmp_path / "disturbed") as home:
        with monkeypatch.context() as patch:
            plant_failure(patch, place, tenant)
            outcome = refresh(home, failing.services, as_of=failing.as_of)
        assert outcome.failures
        assert all(tenant in failure and "BrokenRowsError" in failure for failure in outcome.failures), outcome.failures
        assert leave_out(read_published(home), tenant) == leave_out(failing.rows, tenant)
        assert refresh(home, mended.services, as_of=mended.as_of).failures == []
        assert leave_out(read_published(home), tenant) == leave_out(mended.rows, tenant)
