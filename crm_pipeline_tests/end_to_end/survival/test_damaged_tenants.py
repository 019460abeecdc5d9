"""A club that cannot be computed, checked or published is named; all others publish what they would have without it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

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

CASES: Final = 100 if SOAK else 4
"""Each with three clubs, one of them damaged."""
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


def read_others(home: Path, tenant: str) -> dict[str, list[dict[str, Any]]]:
    """Returns every published row of other tenants, by table."""
    return {
        name: [row for row in rows if row.get("tenant_id") != tenant] for name, rows in read_published(home).items()
    }


@pytest.mark.parametrize("case", range(CASES))
def test_others_publish_what_they_would_have_without_it(
    blank: Path, tmp_path: Path, case: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, clock = Random(23 + case), Clock(tmp_path / "services")
    place = [*PLACES][case % len(PLACES)] if SOAK else [*PLACES][3 * case % len(PLACES)]
    with copied(blank, tmp_path / "undisturbed") as undisturbed, copied(blank, tmp_path / "disturbed") as disturbed:
        for home in (undisturbed, disturbed):
            refresh_here(home, clock)
        clock.pass_hour(list_profiles(undisturbed))
        refresh_here(undisturbed, clock)
        tenant = chance.choice(sorted({tenant for tenant, _ in list_profiles(undisturbed)}))
        with monkeypatch.context() as patch:
            plant_failure(patch, place, tenant)
            outcome = refresh(disturbed, clock.services.folder, as_of=clock.as_of)
        assert outcome.failures
        assert all(tenant in failure and "BrokenRowsError" in failure for failure in outcome.failures), outcome.failures
        assert read_others(disturbed, tenant) == read_others(undisturbed, tenant)
        clock.pass_hour(list_profiles(undisturbed))
        for home in (undisturbed, disturbed):
            refresh_here(home, clock)
        assert read_others(disturbed, tenant) == read_others(undisturbed, tenant)
