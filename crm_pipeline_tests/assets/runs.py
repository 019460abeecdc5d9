"""What tests of whole runs share: what Dagster remembers, what is published, and runs of the published assets alone."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import Table

from crm_pipeline.cli.options import choose
from crm_pipeline.definitions import build_defs
from crm_pipeline.defs.dagster_context import PARTITION, TENANTS, range_tags
from crm_pipeline.resources.connections import lake_of
from crm_pipeline.resources.dagster_storage.instance import open_instance
from crm_pipeline.settings import parse_time
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline_tests.support import AS_OF, ask, clean_environment

FYNBOS, HEATHER, SAGUARO = "fynbos-links", "heather-moor", "saguaro-ridge"
CLUBS = (FYNBOS, HEATHER, SAGUARO)
ASSETS = ("customer_profiles", "customer_timeline")
OUR_TIMES = {"updated_at", "published_at", "run_id"}
"""Columns that differ between two runs that publish the same."""


@contextmanager
def dagster_of(home: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance of this home."""
    with clean_environment(), open_instance(choose(home)) as instance:
        yield instance


def runs(home: Path) -> list[dg.DagsterRun]:
    """All runs, oldest first."""
    with dagster_of(home) as instance:
        return [record.dagster_run for record in instance.get_run_records(ascending=True)]


def materialised(home: Path, run_id: str) -> Counter[tuple[str, str | None]]:
    """How often a run materialised each partition of each published asset."""
    with dagster_of(home) as instance:
        events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    found = [event.dagster_event.step_materialization_data.materialization for event in events if event.dagster_event]
    return Counter((m.asset_key.path[-1], m.partition) for m in found if m.asset_key.path[-1] in ASSETS)


def evaluations(home: Path, run_id: str) -> dict[tuple[str, str | None], Any]:
    """A run's evaluations of the published assets' checks, by asset and partition; the last one counts."""
    with dagster_of(home) as instance:
        events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [event.dagster_event.asset_check_evaluation_data for event in events if event.dagster_event]
    return {(e.asset_key.path[-1], e.partition): e for e in found if e.asset_key.path[-1] in ASSETS}


def evaluated(home: Path, run_id: str) -> dict[tuple[str, str | None], Any]:
    """What was broken of each, None if nothing."""
    return {place: None if e.passed else e.metadata["broken"].value for place, e in evaluations(home, run_id).items()}


def keep_in_lake(home: Path, changes: Mapping[str, str], table: Table = customer_profiles) -> None:
    """Change every row of some tenants in the lake, profiles by default: per tenant a SQL list of `* replace (...)`."""
    with clean_environment(), closing(lake_of(choose(home)).connect()) as con:
        lake = lake_of(choose(home))
        for tenant, values in changes.items():
            present = lake.current(con, table, tenants=[tenant])
            con.execute(f"create or replace temp table changed as select * replace ({values}) from {present}")
            lake.replace(con, table, "changed", tenants=[tenant], known_at=hour(AS_OF))


def publish_alone(
    home: Path, *, by_partition: bool = True, only: str | None = None, as_of: str = AS_OF
) -> dg.ExecuteInProcessResult:
    """A run of the published assets, as the UI starts it: of one partition, of all, or of the whole graph."""
    with clean_environment():
        settings = choose(home, None, as_of)
        with open_instance(settings) as instance:
            job = build_defs(settings).resolve_job_def("refresh")
            every = range_tags(instance.get_dynamic_partitions(str(TENANTS.name))) if by_partition else {}
            return job.execute_in_process(
                instance=instance,
                raise_on_error=False,
                tags={PARTITION: only} if only else every,
                asset_selection=[dg.AssetKey(name) for name in ASSETS],
            )


def said(result: dg.ExecuteInProcessResult) -> str:
    """The words of the one step that failed."""
    (failure,) = result.get_step_failure_events()
    told = failure.step_failure_data.user_failure_data
    return str(told.description) if told else ""


def mend(file: Path, old: str, new: str) -> None:
    """Replace `old`, which stands in the file once, by `new`."""
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def hour(text: str) -> datetime:
    """An ISO 8601 time."""
    return parse_time("test", text)


def contents(home: Path, table: str, tenant: str | None = None) -> list[dict[str, Any]]:
    """A published table, or a tenant's part of it, without the times of our own runs, in a fixed order."""
    where = f"where tenant_id = '{tenant}'" if tenant else ""
    found = [row for (row,) in ask(home, f"select to_jsonb(t) from crm.{table} t {where}")]
    return sorted(({k: v for k, v in row.items() if k not in OUR_TIMES} for row in found), key=repr)
