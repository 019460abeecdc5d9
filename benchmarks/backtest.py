"""How churn is foretold in made-up clubs whose golfers really lapse: `python -m benchmarks.backtest`.

Clubs in many countries, with seasons of their own, are refreshed and fitted as in production; the fit is judged by
what came of the forecasts of 90 and 365 days before. Prints the measures of all clubs together and in how many of the
larger ones the forecast beats the base rate and the rule `90 days without a visit`; exits with 1 where it does not.
"""

import argparse
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from crm_pipeline.cli.options import override_environment
from crm_pipeline.cli.run import refresh_tenants
from crm_pipeline.definitions import build_defs
from crm_pipeline.domain.churn.parameters import POOLED_TENANT_ID
from crm_pipeline.resources.connections import open_lake
from crm_pipeline.resources.dagster_storage.instance import open_instance
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.sample import generate_sample
from crm_pipeline.settings import Settings
from crm_pipeline.tables.outputs.churn import churn_backtests

UNTIL: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
ENOUGH_GOLFERS: Final = 200
ENOUGH_CLUBS: Final = 0.9
MEASURES: Final = ("golfers", "left_since", "brier", "brier_base_rate", "brier_recency", "auc", "auc_recency")


def main() -> None:
    """Make the clubs, refresh and fit them, print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clubs", type=int, default=40)
    parser.add_argument("--people", type=int, default=60_000)
    parser.add_argument("--events", type=int, default=1_200_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sources, home = Path(folder) / "sources", Path(folder) / "home"
        generate_sample(
            tenants=given.clubs,
            people=given.people,
            events=given.events,
            seed=given.seed,
            out=sources,
            until=UNTIL,
            faults=0.0,
        )
        try:
            found = backtests(override_environment(home, sources, UNTIL.isoformat()))
        finally:
            EmbeddedPostgres(home).stop()
    sys.exit(report(found))


def backtests(settings: Settings) -> list[dict[str, Any]]:
    """The rows of churn_backtests after a refresh and a fit."""
    outcome = refresh_tenants(settings, (), (), dry_run=False)
    if outcome.failures:
        sys.exit("; ".join(outcome.failures))
    with open_instance(settings) as instance:
        build_defs(settings).resolve_job_def("fit_churn").execute_in_process(
            instance=instance, run_config={"loggers": {"console": {}}}
        )
    lake = open_lake(settings)
    with closing(lake.connect()) as con:
        rows: list[dict[str, Any]] = (
            con.sql(f"from {lake.create_current_view(con, churn_backtests)}").to_arrow_table().to_pylist()
        )
    return rows


def report(rows: list[dict[str, Any]]) -> int:
    """Print the measures; 1 where a rival is not beaten by all clubs together, or by too few of the larger ones."""
    shown, failed = Table("horizon", *MEASURES, "larger clubs", "beat both"), False
    for row in sorted(
        (row for row in rows if row["tenant_id"] == POOLED_TENANT_ID), key=lambda row: int(row["horizon_days"])
    ):
        larger = [
            each
            for each in rows
            if each["tenant_id"] != POOLED_TENANT_ID
            and each["horizon_days"] == row["horizon_days"]
            and each["golfers"] >= ENOUGH_GOLFERS
        ]
        winners = sum(beats_both(each) for each in larger)
        failed |= not beats_both(row) or winners < ENOUGH_CLUBS * len(larger)
        values = (f"{row[name]:,}" if isinstance(row[name], int) else f"{row[name]:.4f}" for name in MEASURES)
        shown.add_row(f"{row['horizon_days']} days", *values, str(len(larger)), str(winners))
    Console(width=160).print(shown)
    return int(failed)


def beats_both(row: dict[str, Any]) -> bool:
    """Whether the forecast's Brier score is below both rivals'."""
    return bool(row["brier"] < min(row["brier_base_rate"], row["brier_recency"]))


if __name__ == "__main__":
    main()
