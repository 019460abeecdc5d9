"""Files with types of their own mean the same as text."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from crm_pipeline.domain.ingest.row_validation import parse_rows
from crm_pipeline.tables.columns import to_snake_case
from crm_pipeline.tables.sources import scl
from crm_pipeline_tests.fixtures.input.delivered import a_connection, a_row

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
TYPED = [
    ("endedAt", pa.timestamp("us", tz="UTC"), NOON, NOON),
    ("endedAt", pa.timestamp("us"), NOON.replace(tzinfo=None), NOON),
    ("endedAt", pa.timestamp("ns", tz="America/Phoenix"), NOON, NOON),
    ("endedAt", pa.date32(), date(2026, 7, 1), datetime(2026, 6, 30, 23, tzinfo=UTC)),
    ("endedAt", pa.timestamp("us", tz="UTC"), datetime(1, 1, 1, tzinfo=UTC), "endedAt:NOT_A_TIME"),
    ("endedAt", pa.int64(), 1_751_371_200, "endedAt:NOT_A_TIME"),
    ("renewsOn", pa.date32(), date(2026, 7, 1), date(2026, 7, 1)),
    ("renewsOn", pa.timestamp("us", tz="UTC"), datetime(2026, 6, 30, 23, 30, tzinfo=UTC), date(2026, 7, 1)),
    ("yearlyFeeCents", pa.int16(), 12, 12),
    ("yearlyFeeCents", pa.float64(), 12.0, 12),
    ("yearlyFeeCents", pa.float64(), 12.5, "yearlyFeeCents:NOT_A_NUMBER"),
    ("yearlyFeeCents", pa.float64(), float("nan"), "yearlyFeeCents:NOT_A_NUMBER"),
    ("yearlyFeeCents", pa.decimal128(9, 2), Decimal("12.00"), 12),
    ("firstName", pa.int64(), 7, "7"),
    ("firstName", pa.dictionary(pa.int8(), pa.string()), "Ada", "Ada"),
]


@pytest.mark.parametrize(("column", "kind", "value", "means"), TYPED)
def test_typed_files_mean_the_same_as_text(column: str, kind: pa.DataType, value: object, means: object) -> None:
    con = a_connection()
    delivered = {name: pa.array([text]) for name, text in a_row(scl.member).items()}
    con.register("typed", pa.table(delivered | {column: pa.array([value], kind)}))
    parse_rows(con, scl.member, "typed", "read")
    [(found, problems)] = con.sql(f"select {to_snake_case(column)}, _problems from read").fetchall()
    assert (problems == [means]) if isinstance(means, str) and ":" in means else (found, problems) == (means, [])
