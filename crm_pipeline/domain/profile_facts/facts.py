"""Facts of every profile from SQL: what they did, and what the scores are computed from."""

from pathlib import Path
from typing import Final

import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.profile_facts.engagement import ENGAGEMENT_GROUPS

SQL_FOLDER: Final = Path(__file__).parent
GOLDEN_RECORD_FILE: Final = SQL_FOLDER / "golden_record.sql"


def find_facts(con: DuckDBPyConnection) -> None:
    """Create temp tables `activity` and `facts` for relation `golden_record`, as of as_of()."""
    con.register("engagement_weights", _build_engagement_weights())
    create_temp_table(con, SQL_FOLDER / "activity.sql")
    create_temp_table(con, SQL_FOLDER / "facts.sql")


def create_temp_table(con: DuckDBPyConnection, file: Path) -> None:
    """Create the temp table that a file of SQL is named after from the query in it."""
    con.execute(f"create or replace temp table {file.stem} as {file.read_text(encoding='utf-8')}")


def _build_engagement_weights() -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"counts_as": str(counts_as), "habit": group.name, "weight": weight, "half_life_days": group.half_life_days}
            for group in ENGAGEMENT_GROUPS
            for counts_as, weight in group.weights.items()
        ]
    )
