"""Services that all of a sudden know other clubs: another installation's, most likely, and not believed."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.run_context import RunContext
from crm_pipeline.sample import generate_sample
from crm_pipeline.steps.extract import extract_service
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.homes.support import SAMPLE

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
OURS = {"fynbos-links", "heather-moor", "saguaro-ridge"}
Extract = Callable[..., set[str]]


@pytest.fixture
def extract(tmp_path: Path) -> Extract:
    """Returns a function that reads a service of a folder, every time an hour later, and returns the lake's clubs."""
    lake, hours = Lake(str(tmp_path / "lake"), tmp_path / "spill"), iter(range(10))

    def extract_hour(folder: Path, service: Service, *believed: str, tenants: list[str] | None = None) -> set[str]:
        sources = Sources({service: str(folder / service.lower())})
        with closing(lake.connect()) as con:
            at = NOON + timedelta(hours=next(hours))
            run = RunContext(con, lake, at, "run", tenants, accepted_shrinks=frozenset(believed))
            extract_service(run, sources, service)
            view = lake.create_current_view(con, crm.tenant)
            return {tenant for (tenant,) in con.sql(f"select tenant_id from {view} where tenant_id <> ''").fetchall()}

    return extract_hour


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two other clubs, larger than ours. For reading only."""
    folder = tmp_path_factory.mktemp("others")
    generate_sample(tenants=2, people=800, events=20_000, seed=3, out=folder, until=NOON)
    return folder


def test_a_crm_without_any_known_club_is_not_believed_until_told_so(extract: Extract, others: Path) -> None:
    assert extract(SAMPLE, Service.CRM) == OURS
    message = (
        "CRM: Tenant lost every tenant known so far and is not believed; if that is right, run once with --believe"
    )
    with pytest.raises(SourceError, match=f"^{message} CRM.Tenant$"):
        extract(others, Service.CRM)
    assert extract(SAMPLE, Service.CRM) == OURS
    assert not extract(others, Service.CRM, "CRM.Tenant") & OURS


def test_nor_is_another_service_that_has_rows_of_other_clubs_alone(extract: Extract, others: Path) -> None:
    extract(SAMPLE, Service.CRM)
    extract(SAMPLE, Service.SCL)
    with pytest.raises(SourceError, match=r"SCL: Member lost more than half of its rows, Payment lost .* not believed"):
        extract(others, Service.SCL)
    extract(others, Service.CRM, "CRM.Tenant")
    extract(others, Service.SCL)


def test_a_run_over_one_club_that_left_the_crm_is_no_reason_to_doubt_it(extract: Extract, tmp_path: Path) -> None:
    extract(SAMPLE, Service.CRM)
    (tmp_path / "crm").mkdir()
    for file in (SAMPLE / "crm").iterdir():
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith("heather-moor,")]
        (tmp_path / "crm" / file.name).write_text("".join(kept), encoding="utf-8")
    assert extract(tmp_path, Service.CRM, tenants=["heather-moor"]) == OURS - {"heather-moor"}
