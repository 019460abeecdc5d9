"""The facts of every profile from SQL: their activity, and the inputs of the scores."""

from pathlib import Path
from typing import Final

import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.money import define_stored_sum
from crm_pipeline.domain.profile_facts.engagement import ENGAGEMENT_GROUPS

SQL_FOLDER: Final = Path(__file__).parent
GOLDEN_RECORD_FILE: Final = SQL_FOLDER / "golden_record.sql"
ENDED_CONTRACTS_FILE: Final = SQL_FOLDER / "ended_contracts.sql"


def create_golden_record(con: DuckDBPyConnection) -> None:
    """Creates temp table golden_record, one row per profile, as of as_of().

    Reads: what `golden_record.sql` and `ended_contracts.sql` read.
    Creates: also ended_contracts.
    """
    create_temp_table(con, ENDED_CONTRACTS_FILE)
    create_temp_table(con, GOLDEN_RECORD_FILE)


def find_facts(con: DuckDBPyConnection) -> None:
    """Creates temp tables `activity` and `facts`, as of as_of().

    Reads: golden_record, and what `activity.sql` and `facts.sql` read.
    Creates: engagement_weights, activity, facts.
    """
    con.register("engagement_weights", _build_engagement_weights())
    define_stored_sum(con)
    create_temp_table(con, SQL_FOLDER / "activity.sql")
    create_temp_table(con, SQL_FOLDER / "facts.sql")


def create_temp_table(con: DuckDBPyConnection, file: Path) -> None:
    """Creates a temp table named after a .sql file, from the query in it."""
    con.execute(f"create or replace temp table {file.stem} as {file.read_text(encoding='utf-8')}")


def _build_engagement_weights() -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"counts_as": str(counts_as), "habit": group.name, "weight": weight, "half_life_days": group.half_life_days}
            for group in ENGAGEMENT_GROUPS
            for counts_as, weight in group.weights.items()
        ]
    )
