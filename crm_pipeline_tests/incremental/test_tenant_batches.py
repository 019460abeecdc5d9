"""A tenant batch is a unit of work that another process can take: without Dagster, and without other tenants' rows."""

import json
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crm_pipeline.tables import LAKE_TABLES
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline_tests.fixtures.histories.incremental import ALL_MOVES, Hours
from crm_pipeline_tests.fixtures.histories.moving_services import delivered
from crm_pipeline_tests.fixtures.histories.tenant_batch import STEPS

MORNING = datetime(2026, 3, 24, 8, tzinfo=UTC)


@pytest.fixture
def hours(tmp_path: Path) -> Hours:
    """Three clubs: not refreshed yet."""
    return Hours(tmp_path, delivered(tmp_path / "services", tenants=3, people=60, events=600, until=MORNING))


def compute_elsewhere(hours: Hours, at: datetime, tenant: str) -> None:
    """Runs all steps of the tenant in a process of its own, and asserts what it held and imported."""
    module = "crm_pipeline_tests.fixtures.histories.tenant_batch"
    command = [sys.executable, "-m", module, hours.lake.url, str(hours.folder / "spill"), at.isoformat(), tenant]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert said == {"held": {step: [tenant] for step in STEPS}, "modules": []}


def read_rows_by_tenant(hours: Hours) -> dict[str, set[tuple[object, ...]]]:
    """Returns per tenant the rows that the steps have stored, less the version they were stored as."""
    rows: dict[str, set[tuple[object, ...]]] = {}
    with closing(hours.lake.connect()) as con:
        for table in LAKE_TABLES:
            if table.metadata is source_metadata or hours.lake.version(table) < 0:
                continue
            stored = hours.lake.create_current_view(con, table)
            for tenant, *row in con.sql(f"select tenant_id, * exclude (tenant_id, _version) from {stored}").fetchall():
                rows.setdefault(tenant, set()).add((table.name, *map(str, row)))
    return rows


def test_a_tenant_is_computed_by_a_process_without_dagster_and_other_tenants(hours: Hours, tmp_path: Path) -> None:
    hours.refresh(MORNING)
    hours.services.hour(MORNING + timedelta(hours=1), ALL_MOVES, 40)
    hours.services.deliver(hours.services.folder)
    hours.extract(MORNING + timedelta(hours=1))
    before = read_rows_by_tenant(hours)
    for tenant in sorted(tenant["id"] for tenant in hours.services.tables["Tenant"]):
        compute_elsewhere(hours, MORNING + timedelta(hours=1), tenant)
        after = read_rows_by_tenant(hours)
        assert {other for other in after if after[other] != before.get(other)} == {tenant}
        before = after
    hours.compare_with_full_refresh(MORNING + timedelta(hours=1), tmp_path / "full")
