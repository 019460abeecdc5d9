"""When a delivered snapshot is too small to be accepted."""

import duckdb
import pytest

from crm_pipeline.domain.ingest.delivery_validation import find_shrunken_tables
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import scl


def shrunken(**rows: tuple[int, int]) -> list[str]:
    """Returns the tables of SCL that shrank too far, given the rows each had and has."""
    con = duckdb.connect()
    tables = [scl.member, scl.payment]
    for table in tables:
        for side, count in zip(("present", "incoming"), rows.get(table.name, (0, 0)), strict=True):
            con.execute(f"create temp table {side}_{to_lake_name(table)} as from range({count})")
    return find_shrunken_tables(con, {table: f"incoming_{to_lake_name(table)}" for table in tables})


@pytest.mark.parametrize(
    ("before", "now", "accepted"),
    [
        (0, 0, True),
        (0, 1_000, True),
        (49, 0, True),  # a small table may shrink as it likes
        (50, 25, True),
        (50, 24, False),
        (51, 25, False),
        (1_000, 500, True),
        (1_000, 499, False),
        (1_000, 0, False),
    ],
)
def test_a_table_of_fifty_rows_must_keep_half(before: int, now: int, accepted: bool) -> None:
    assert shrunken(Member=(before, now)) == ([] if accepted else ["Member"])


def test_every_table_is_named_that_is_not_accepted() -> None:
    assert shrunken(Member=(100, 1), Payment=(100, 100)) == ["Member"]
    assert shrunken(Member=(100, 1), Payment=(100, 1)) == ["Member", "Payment"]
