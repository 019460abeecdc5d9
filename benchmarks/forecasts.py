"""Forecasts of the same people under two rules: `git worktree add OTHER COMMIT; python -m benchmarks.forecasts OTHER`.

The other tree's generator makes clubs whose golfers and members really leave. Each tree refreshes them, is put back a
year, fits its models to what was known then, and scores everybody. The scores are held against what has become of the
people since, visitors and members apart: of visitors both trees scored, and of members both did. "Left" is what this
tree means by it, and for visitors what the other one does too. Prints Brier and AUC of both.
"""

import argparse
import inspect
import os
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
from rich.console import Console
from rich.table import Table

from crm_pipeline.domain.churn.backtest import measure_auc, measure_brier_score
from crm_pipeline.domain.churn.fit import fit_members, fit_visits
from crm_pipeline.domain.churn.parameters import POOLED_TENANT_ID, ChurnModels, TenantModel
from crm_pipeline.domain.churn.point_in_time import find_current_facts, find_past_facts
from crm_pipeline.domain.churn.training_data import read_members, read_seasons, read_visitors
from crm_pipeline.domain.contact_keys.person_records import normalise_people
from crm_pipeline.domain.scoring.scores import score_facts
from crm_pipeline.domain.timeline.events import CREATE_PROFILE_TARGETS
from crm_pipeline.incremental.model import materialize
from crm_pipeline.incremental.required_rows import IDENTITY_COLUMNS
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.run_context import RunContext
from crm_pipeline.sample import generate_sample
from crm_pipeline.steps.extract import extract_service
from crm_pipeline.steps.identities.model import IDENTITIES
from crm_pipeline.steps.timeline import TIMELINE_EVENTS
from crm_pipeline.tables.outputs import timeline
from crm_pipeline.tables.sources import scl
from crm_pipeline.vocabulary import Service

# Only what both trees have: the other one runs this file too.
UNTIL: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
YEAR: Final = 365
TREE: Final = Path(__file__).parents[1]
Rows = dict[str, Any]


def main() -> None:
    """Make the clubs, let both trees score them, print how well each did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--clubs", type=int, default=20)
    parser.add_argument("--people", type=int, default=15_000)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--side", choices=["make", "score"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side == "make":
        generate_sample(
            tenants=given.clubs,
            people=given.people,
            events=given.events,
            seed=given.seed,
            out=given.folder,
            until=UNTIL,
        )
    elif given.side == "score":
        score_past(given.folder, given.other)
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare_trees(Path(folder), given.other, sys.argv[2:])


def compare_trees(folder: Path, other: Path, sizes: list[str]) -> None:
    """Prints both trees' measures on the same people."""
    sources = folder / "sources"
    run_tree(other, "ignored", "--side", "make", "--folder", str(sources), *sizes)
    for name, tree in (("other", other), ("ours", TREE)):
        (folder / name).mkdir()
        run_tree(tree, str(folder / name), "--side", "score", "--folder", str(sources))
    shown = Table("people", "left means", "number", "left", "Brier, other", "ours", "AUC, other", "ours")
    with duckdb.connect() as con:
        for name in ("other", "ours"):
            con.execute(f"create view {name} as from '{folder / name}/scored.parquet'")
        for group, meaning, left in (
            ("TRANSACTIONAL", "ours", "ours.has_left"),
            ("TRANSACTIONAL", "other", "other.has_left"),
            ("MEMBER", "both", "ours.has_lapsed"),
        ):
            columns = con.sql(f"""
                select other.risk as other, ours.risk as ours, {left} as has_left
                from other join ours using (tenant_id, id)
                where other.basis = '{group}' and ours.basis = '{group}'""").fetchnumpy()
            shown.add_row(group.lower(), meaning, *measure_both(columns))
    Console(width=120).print(shown)


def measure_both(columns: Rows) -> list[str]:
    """Number of people and share who left, then Brier and AUC of both trees."""
    has_left = np.asarray(columns["has_left"], dtype=np.bool_)
    risks = [np.asarray(columns[name], dtype=np.float64) for name in ("other", "ours")]
    measures = [measure(risk, has_left) for measure in (measure_brier_score, measure_auc) for risk in risks]
    return [f"{has_left.size:,}", f"{has_left.mean():.1%}", *(f"{value:.5f}" for value in measures)]


def run_tree(tree: Path, *arguments: str) -> None:
    """Runs this file with the packages of a tree."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    subprocess.run([sys.executable, str(Path(__file__)), *arguments], check=True, env=environment, cwd=tree)  # noqa: S603


def score_past(sources: Path, folder: Path) -> None:
    """Writes `scored.parquet`: everybody's risk a year ago, and what has become of them since."""
    lake = Lake(str(folder / "lake"), folder / "spill")
    for service in (Service.CRM, Service.MESSAGING, Service.SCL, Service.TEETIME):
        with closing(lake.connect()) as con:
            extract_service(
                RunContext(con, lake, UNTIL, "run", None),
                Sources({s: str(sources / s.lower()) for s in Service}),
                service,
            )
    with closing(lake.connect()) as con:
        run = RunContext(con, lake, UNTIL, "run", None)
        materialize(IDENTITIES, run)
        materialize(TIMELINE_EVENTS, run)
    with closing(lake.connect()) as con:
        find_facts_of_years(con, RunContext(con, lake, UNTIL, "run", None))
        con.register("scored", score_facts(con, fit_past(con)))
        con.execute(f"""
            copy (select s.tenant_id, s.id, churn_basis as basis, churn_risk_score / 100 as risk, has_left, has_lapsed
                from scored s join facts_{YEAR} f using (tenant_id, id)
                where churn_basis = 'TRANSACTIONAL' or has_contract) to '{folder}/scored.parquet'""")


def find_facts_of_years(con: duckdb.DuckDBPyConnection, run: RunContext) -> None:
    """Creates the facts of two years ago as `facts_730`, then those of a year ago, which stay the present ones."""
    tenants = run.load_all_rows()
    for table in IDENTITY_COLUMNS:
        run.lake.create_current_view(con, table, tenants=tenants)
    run.lake.create_current_view(con, timeline.customer_timeline, tenants=tenants, name="current_timeline")
    con.execute("create temp table current_payments as from scl_payment")
    run.lake.create_log_view(con, scl.member)
    con.execute(CREATE_PROFILE_TARGETS)
    normalise_people(con)
    find_current_facts(con, run.as_of)
    find_past_facts(con, run.as_of, 2 * YEAR)
    find_past_facts(con, run.as_of, YEAR)


def fit_past(con: duckdb.DuckDBPyConnection) -> ChurnModels:
    """Returns the models that a fit of a year ago would have made: members by the year before it."""
    seasons = read_seasons(con)
    visits = fit_visits(read_visitors(con, f"facts_{YEAR}", seasons, YEAR))
    con.execute(f"alter table facts_{YEAR} rename to facts_then")
    con.execute(f"""
        create temp table facts_{YEAR} as
        select earlier.* replace (not later.has_contract as has_lapsed)
        from facts_{2 * YEAR} earlier join facts_then later using (tenant_id, id)""")
    members = fit_members(
        *read_members(con, *([seasons] if len(inspect.signature(read_members).parameters) > 1 else []))
    )
    con.execute(f"drop table facts_{YEAR}")
    con.execute(f"alter table facts_then rename to facts_{YEAR}")
    return ChurnModels(
        {
            tenant: TenantModel(
                visits.get(tenant, visits[POOLED_TENANT_ID]),
                None,
                seasons[tenant].month_factors if tenant in seasons else None,
                *members.get(tenant, members[POOLED_TENANT_ID]),
            )
            for tenant in {*visits, *seasons, *members}
        }
    )


if __name__ == "__main__":
    main()
