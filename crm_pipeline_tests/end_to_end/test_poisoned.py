"""One club of twenty goes bad: the other nineteen are published, it shows why it is not, and comes back by itself."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from crm_pipeline.defs.dagster_context import TENANT_PARTITIONS
from crm_pipeline.sample import generate_sample
from crm_pipeline_tests.fixtures.histories.poisons import WAYS, Clubs, Way
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.runs import ASSETS, contents, dagster_of, hour
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import AS_OF, ask, refresh

BAD = "copper-downs"
AN_HOUR_LATER, TWO_HOURS_LATER = "2026-03-31T13:00:00Z", "2026-03-31T14:00:00Z"
TIMES = "2026-03-01T00:00:00Z,2026-03-01T00:00:00Z"
SET_ASIDE = """
    select tenant_id, table_name, column_name, reason, count(*) from crm.quarantined_records group by 1, 2, 3, 4"""


@pytest.fixture(scope="module")
def first_hour(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Clubs:
    """Twenty clubs refreshed once, and then somebody new at each; the server stopped: to be copied, not used."""
    folder = tmp_path_factory.mktemp("twenty")
    generate_sample(tenants=20, people=160, events=1500, seed=4, out=folder / "services", until=hour(AS_OF))
    with copied(blank, folder / "home") as home:
        assert refresh(home, folder / "services").failures == []
        clubs = everybody(home)
    with (folder / "services" / "crm" / "Lead.csv").open("a", encoding="utf-8") as file:
        file.writelines(f"newcomer-{club},{club},,new@{club}.example,,New,Comer,web,{TIMES}\n" for club in clubs)
    return Clubs(folder / "services", folder / "home", BAD)


@pytest.fixture
def clubs(first_hour: Clubs, tmp_path: Path) -> Iterator[Clubs]:
    """A copy of the test's own."""
    services = Path(shutil.copytree(first_hour.services, tmp_path / "services"))
    with copied(first_hour.home, tmp_path / "home") as home:
        yield Clubs(services, home, BAD)


def everybody(home: Path) -> set[str]:
    """All clubs that are published."""
    return {tenant for (tenant,) in ask(home, "select distinct tenant_id from crm.customer_profiles")}


def met_the_newcomer(home: Path) -> set[str]:
    """The clubs that are published as of after the first hour."""
    return {tenant for (tenant,) in ask(home, "select tenant_id from crm.customer_profiles where last_name = 'Comer'")}


def shown_as(home: Path, status: AssetPartitionStatus) -> set[tuple[str, str]]:
    """The partitions of the published assets that the UI shows so."""
    with dagster_of(home) as instance:
        clubs = instance.get_dynamic_partitions(str(TENANT_PARTITIONS.name))
        found = {name: instance.get_status_by_partition(dg.AssetKey(name), clubs, TENANT_PARTITIONS) for name in ASSETS}
    return {(name, club) for name, clubs in found.items() for club, shown in (clubs or {}).items() if shown is status}


def set_aside(home: Path) -> set[tuple[str, str, str, str, int]]:
    """What is quarantined: club, table, column, reason and how often."""
    return {(club, table, column, reason, rows) for club, table, column, reason, rows in ask(home, SET_ASIDE)}


@pytest.mark.skipif(not SOAK, reason="ten times half a minute of whole runs: make soak")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_club_that_goes_bad_harms_no_other_and_comes_back(way: Way, clubs: Clubs) -> None:
    home, every = clubs.home, everybody(clubs.home)
    kept, sound = {asset: contents(home, asset, BAD) for asset in ASSETS}, set_aside(home)
    with way.poison(clubs):
        faults = refresh(home, clubs.services, as_of=AN_HOUR_LATER).failures
    found = {row[:4] for row in set_aside(home) - sound}
    # The rows of a club whose id is none belong to nobody.
    assert {club for club, *_ in found} <= {BAD, f"{BAD}...2", None}
    if way.reason:
        assert len(every) == 20
        _assert_it_alone_failed(home, every - {BAD}, faults, way.reason)
        assert {asset: contents(home, asset, BAD) for asset in ASSETS} == kept
    else:
        assert (faults, met_the_newcomer(home)) == ([], every)
        assert found >= {(BAD, *what) for what in way.quarantined}
        assert shown_as(home, AssetPartitionStatus.FAILED) == set()

    assert refresh(home, clubs.services, as_of=TWO_HOURS_LATER).failures == []
    assert met_the_newcomer(home) == every
    assert set_aside(home) == sound
    assert shown_as(home, AssetPartitionStatus.MATERIALIZED) == {(a, club) for a in ASSETS for club in every}


def _assert_it_alone_failed(home: Path, others: set[str], faults: list[str], reason: str) -> None:
    """In the run's one fault, and on the screen."""
    assert met_the_newcomer(home) == others
    [fault] = faults
    assert fault.startswith(f"published: not published, last published data kept: {BAD}")
    assert reason in fault
    assert [club for club in others if club in fault] == []
    assert shown_as(home, AssetPartitionStatus.FAILED) == {(asset, BAD) for asset in ASSETS}
    assert shown_as(home, AssetPartitionStatus.MATERIALIZED) == {(asset, club) for asset in ASSETS for club in others}
