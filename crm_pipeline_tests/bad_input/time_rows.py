"""Odd times: years 0 and 9999, days and hours there are not, odd spellings; as texts and as Parquet's own."""

from datetime import UTC, datetime

from crm_pipeline.tables.sources import messaging, scl, teetime
from crm_pipeline_tests.bad_input.cases import Case

NO_TIMES = (
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "1899-12-31T23:59:59Z",
    "-0044-03-15T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "99999-01-01",
    "2026-02-29T12:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-07-01T25:00:00Z",
    "2026-07-01T23:59:60Z",
    "2026-07-01T12:00:00+25:00",
    "2026-07-01t12:00:00z",
    "2026-07-01T12:00:00 Europe/London",
    "01/07/2026",
    "\u0662\u0660\u0662\u0666-01-01",
    "20260701",
    "1767225600",
    "now",
    "infinity",
    "epoch",
    "'; drop table x; --",
)
RECORDED = [
    *(
        Case(f"updated {text}", teetime.player, {"updatedAt": text}, faults=("updatedAt:NOT_A_TIME",))
        for text in NO_TIMES
    ),
    Case("updated never", teetime.player, {"updatedAt": None}, faults=("updatedAt:MISSING_VALUE",)),
    *(
        Case(f"updated {text}", teetime.player, {"updatedAt": text}, faults=("updatedAt:FUTURE_TIME",))
        for text in ("9999-12-30T00:00:00Z", "2026-04-01T12:00:01Z", "2026-04-01T12:00:00-00:01")
    ),
    Case(
        "updated a day ahead",
        teetime.player,
        {"updatedAt": "2026-04-01T12:00:00Z"},
        {"updatedAt": datetime(2026, 4, 1, 12, tzinfo=UTC)},
    ),
]
PLANNED = [
    *(
        Case(f"tee time {text}", teetime.booking, {"teeTimeAt": text}, faults=("teeTimeAt:NOT_A_TIME",))
        for text in ("0000-06-01T08:00:00Z", "9999-12-31T23:59:59Z", "2201-01-01", "2026-03-29T25:30")
    ),
    *(
        Case(f"tee time {text}", teetime.booking, {"teeTimeAt": text}, {"teeTimeAt": meant})
        for text, meant in {
            "2200-12-31T23:59:59Z": datetime(2200, 12, 31, 23, 59, 59, tzinfo=UTC),
            "2026-07-01": datetime(2026, 6, 30, 23, tzinfo=UTC),  # midnight in London
            "2026-03-29T01:30": datetime(2026, 3, 29, 1, 30, tzinfo=UTC),  # an hour London did not have
            "2026-07-01T12:00:00+14:00": datetime(2026, 6, 30, 22, tzinfo=UTC),
            "2026-07-01T24:00:00Z": datetime(2026, 7, 2, tzinfo=UTC),
            "2026-07-01T12:00:00.123456789Z": datetime(2026, 7, 1, 12, 0, 0, 123_456, tzinfo=UTC),
        }.items()
    ),
]
MICROSECONDS: dict[str, int] = {
    "the first there is": -(2**63) + 1,
    "before it": -(2**63),
    "year 0": -62_167_219_200_000_000,
    "year 9999, its last second": 253_402_300_799_000_000,
    "year 148108": 2**62,
    "the last there is": 2**63 - 1,
}
TYPED_TIMES = [
    Case(f"Parquet time: {name}", messaging.contact, {"updatedAt": value}, faults=("updatedAt:NOT_A_TIME",))
    for name, value in MICROSECONDS.items()
]
RENEWALS = [
    Case(f"renews {text}", scl.member, {"id": 200 + number, "renewsOn": text}, faults=("renewsOn:NOT_A_TIME",))
    for number, text in enumerate(("0000-01-01", "9999-12-31", "2026-02-30", "infinity", "1 July"))
]
TIME_ROWS = RECORDED + PLANNED + TYPED_TIMES + RENEWALS
