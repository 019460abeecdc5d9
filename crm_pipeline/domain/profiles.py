"""Profiles put together: the golden record, activity and facts from SQL, the scores from the models.

Each number's formula lives in its own module (`engagement`, `churn` and the models behind it, `lifecycle` in
`facts.sql`); here they only meet, for all profiles of a run at once.
"""

from pathlib import Path
from typing import Final

import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.churn_model import Models
from crm_pipeline.domain.engagement import GROUPS
from crm_pipeline.domain.scores import score_facts
from crm_pipeline.vocabulary import QuarantineReason

FOLDER: Final = Path(__file__).parent
NEGATIVE_TOTALS = f"""
    select tenant_id, 'CRM' as service, 'CustomerProfile' as table_name, id as service_record_id, id as _subject,
        'lifetimeValue' as column_name, '{QuarantineReason.NEGATIVE_TOTAL}' as reason, 'profile_scores' as found_by
    from facts where net_value < 0"""
"""A query of the profiles that were refunded more than they paid; their lifetime value is 0."""


def build_profiles(con: DuckDBPyConnection, models: Models) -> None:
    """Create temp table `profiles`, the customer_profiles rows of the tenants in relation `tenants`.

    Reads what `golden_record.sql`, `activity.sql` and `facts.sql` say they read; leaves their results as temp tables.
    """
    run_query(con, "golden_record")
    score_profiles(con, models)


def score_profiles(con: DuckDBPyConnection, models: Models) -> None:
    """Create temp table `profiles` for relation `golden_record`; leaves `activity` and `facts` behind."""
    find_facts(con)
    con.register("scores", score_facts(con, models))
    run_query(con, "profiles")
    con.unregister("scores")


def find_facts(con: DuckDBPyConnection) -> None:
    """Create temp tables `activity` and `facts` for relation `golden_record`, as of as_of()."""
    con.register("engagement_weights", _weights())
    run_query(con, "activity")
    run_query(con, "facts")


def run_query(con: DuckDBPyConnection, name: str) -> None:
    """Create temp table `name` from the query in the file of that name."""
    sql = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    con.execute(f"create or replace temp table {name} as {sql}")


def _weights() -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"counts_as": str(counts_as), "habit": group.name, "weight": weight, "half_life_days": group.half_life_days}
            for group in GROUPS
            for counts_as, weight in group.weights.items()
        ]
    )
