"""Odd numbers and booleans: amounts, handicaps, numeric ids, as texts and as JSON's own."""

from decimal import Decimal
from typing import Any

from crm_pipeline.tables.sources import scl, teetime
from crm_pipeline_tests.bad_input.cases import Case

LARGEST = 2**63 - 1
NO_NUMBERS: dict[str, Any] = {
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
    "NaN as text": "NaN",
    "infinity as text": "infinity",
    "beyond 64 bits": str(LARGEST + 1),
    "400 digits": "9" * 400,
    "1e999": "1e999",
    "1e3": "1e3",
    "pounds and pence": "12.50",
    "a fraction of a cent": 0.1,
    "currency sign": "£12",
    "thousands": "1,000",
    "hexadecimal": "0x1F",
    "full-width digits": "\uff11\uff12",
    "arabic digits": "\u0661\u0662",
    "a space": " 12",
    "true": True,
    "a list": [12],
    "injection": "0; drop table x",
}
NUMBERS: dict[str, tuple[Any, int]] = {
    "negative zero": ("-0", 0),
    "negative zero with a point": (-0.0, 0),
    "a whole fraction": (12.0, 12),
    "leading zeros": ("0012", 12),
    "the largest": (LARGEST, LARGEST),
}
AMOUNTS = [
    *(
        Case(f"amount: {name}", scl.payment, {"amountCents": value}, faults=("amountCents:NOT_A_NUMBER",))
        for name, value in NO_NUMBERS.items()
    ),
    *(
        Case(f"amount: {name}", scl.payment, {"amountCents": value, "status": "FAILED"}, {"amountCents": meant})
        for name, (value, meant) in NUMBERS.items()
    ),
    Case("amount: negative", scl.payment, {"amountCents": -1}, faults=("amountCents:NEGATIVE_AMOUNT",)),
    Case("amount: none", scl.payment, {"amountCents": None}, faults=("amountCents:MISSING_VALUE",)),
]
HANDICAPS = [
    *(
        Case(f"handicap {value}", teetime.player, {"handicap": value}, faults=("handicap:NOT_A_NUMBER",))
        for value in ("12.34", "+1.5", "NaN", "-inf", "99999", "1e1", "12,4", "scratch")
    ),
    Case("handicap -0.0", teetime.player, {"handicap": "-0.0"}, {"handicap": Decimal("0.0")}),
    Case("handicap 12.30", teetime.player, {"handicap": "12.30"}, {"handicap": Decimal("12.3")}),
]
NUMBERED = [
    Case(f"id {value!r}", scl.member, {"id": value}, {"id": None}, faults=("id:NOT_A_NUMBER",))
    for value in ("1.5", "seven", LARGEST + 1, float("nan"), "7'; drop table x; --", "../7")
] + [
    Case("id none", scl.member, {"id": None}, faults=("id:MISSING_KEY",)),
    Case("id -0", scl.member, {"id": "-0"}, {"id": 0}),
    Case("id negative", scl.member, {"id": -5}),
    Case("id largest", scl.member, {"id": LARGEST}),
    Case("id with zeros", scl.member, {"id": "00120"}, {"id": 120}),
    Case(
        "id the same without zeros",
        scl.member,
        {"id": 120, "firstName": "Eve", "yearlyFeeCents": -1},
        faults=("yearlyFeeCents:NEGATIVE_AMOUNT", "id:DUPLICATE_KEY"),
    ),
]
NUMBER_ROWS = AMOUNTS + HANDICAPS + NUMBERED
