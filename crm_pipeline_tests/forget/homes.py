"""What tests of `forget` ask of a home: forgetting in this process, and what is there of everybody else."""

import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg

from crm_pipeline.cli.options import choose
from crm_pipeline.cli.privacy_requests import forget
from crm_pipeline.explain import Question
from crm_pipeline.resources.connections import lake_of
from crm_pipeline.resources.lake.compaction import keep_up
from crm_pipeline.tables import PUBLISHED
from crm_pipeline.tables.columns import output_metadata, source_metadata
from crm_pipeline.tables.outputs import operations, privacy
from crm_pipeline_tests.assets.runs import contents, dagster_of, runs
from crm_pipeline_tests.forget.zephyrine import CLUB, KEY
from crm_pipeline_tests.questions import By
from crm_pipeline_tests.support import ask, clean_environment

OUR_OWN = (operations.publications, privacy.forgotten_totals)


def forgotten(home: Path, by: By, value: str, tenant: str = CLUB) -> dict[str, Any]:
    """The certificate of the one who is forgotten."""
    with clean_environment(ERASURE_KEY=KEY):
        [issued] = forget(choose(home), Question(tenant, by, value), "asked by letter", lambda _: None)
    return issued


def upkeep(home: Path) -> None:
    """A night: logs compacted, bases folded, replaced files kept."""
    with clean_environment():
        lake = lake_of(choose(home))
    with closing(lake.connect()) as con:
        for table in (*source_metadata.tables.values(), *output_metadata.tables.values()):
            keep_up(con, lake, table)


def published(home: Path) -> dict[str, list[str]]:
    """Every published row as text, by table, but for what tells of our own runs."""
    return {
        table.name: [json.dumps(row, sort_keys=True) for row in contents(home, table.name)]
        for table in PUBLISHED
        if table not in OUR_OWN
    }


def kept(home: Path) -> dict[str, list[str]]:
    """Every version of every source row in the lake as text, by table."""
    with clean_environment():
        lake = lake_of(choose(home))
    with closing(lake.connect()) as con:
        return {
            table.name: [str(row) for row in con.sql(f"from {lake.log(con, table)} order by all").fetchall()]
            for table in source_metadata.tables.values()
        }


def without(rows: dict[str, list[str]], words: Iterable[str]) -> dict[str, list[str]]:
    """The rows in which none of these words stands."""
    told = [word.lower() for word in words]
    return {name: [row for row in found if not any(w in row.lower() for w in told)] for name, found in rows.items()}


def money(home: Path) -> dict[tuple[str, int], int]:
    """What came in at each club in each year: the timeline's and the forgotten's."""
    rows = ask(
        home,
        """select tenant_id, year, sum(amount_cents)::bigint from (
            select tenant_id, extract(year from occurred_at at time zone 'UTC')::int as year, amount_cents
            from crm.customer_timeline where amount_cents is not null
            union all select tenant_id, year, amount_cents from crm.forgotten_totals) t group by 1, 2""",
    )
    return {(tenant, year): cents for tenant, year, cents in rows}


def failed_checks(home: Path) -> set[str]:
    """The asset checks the last run failed."""
    last = runs(home)[-1].run_id
    with dagster_of(home) as instance:
        events = instance.all_logs(last, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [event.dagster_event.asset_check_evaluation_data for event in events if event.dagster_event]
    assert found
    return {evaluation.check_name for evaluation in found if not evaluation.passed}
