"""The customer_profiles rows: golden record, activity and facts from SQL, joined with the scores of the models."""

from pathlib import Path
from typing import Final

from duckdb import DuckDBPyConnection

from crm_pipeline.domain.churn.parameters import ChurnModels
from crm_pipeline.domain.profile_facts.facts import create_golden_record, create_temp_table, find_facts
from crm_pipeline.domain.scoring.scores import score_facts
from crm_pipeline.vocabulary import QuarantineReason

PROFILES_FILE: Final = Path(__file__).with_name("profiles.sql")
NEGATIVE_TOTALS_SQL = f"""
    select tenant_id, 'CRM' as service, 'CustomerProfile' as table_name, id as service_record_id, id as _subject,
        'lifetimeValue' as column_name, '{QuarantineReason.NEGATIVE_TOTAL}' as reason, 'profile_scores' as found_by
    from facts where net_value < 0"""
"""Selects the profiles that were refunded more than they paid; their lifetime value is 0."""


def build_profiles(con: DuckDBPyConnection, models: ChurnModels) -> None:
    """Creates temp table `profiles`: the customer_profiles rows of the tenants in relation `tenants`.

    Reads: what `create_golden_record`, `activity.sql` and `facts.sql` read.
    Creates: profiles, golden_record, ended_contracts, activity, facts.
    """
    create_golden_record(con)
    score_profiles(con, models)


def score_profiles(con: DuckDBPyConnection, models: ChurnModels) -> None:
    """Creates temp table `profiles` from relation `golden_record`.

    Reads: golden_record, and what `activity.sql` and `facts.sql` read.
    Creates: profiles, activity, facts.
    """
    find_facts(con)
    con.register("scores", score_facts(con, models))
    create_temp_table(con, PROFILES_FILE)
    con.unregister("scores")
