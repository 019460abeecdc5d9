"""Schema `crm` version 1 as it was promised: the file says what is declared, and nothing promised is broken."""

import json
from typing import Any

import pytest

from crm_pipeline.tables.contract import CONTRACT_FILE, build_contract

PROMISED: dict[str, Any] = json.loads(CONTRACT_FILE.read_text(encoding="utf-8"))
SMALL: dict[str, Any] = {"t": {"key": ["id"], "columns": {"id": "uuid not null", "email": "text"}}}


def list_contract_violations(contract: dict[str, Any], declared: dict[str, Any]) -> list[str]:
    """Returns how `declared` breaks `contract`, both as `build_contract` returns them; additions break nothing."""
    violations = [f"{name} is gone" for name in contract.keys() - declared.keys()]
    for name in contract.keys() & declared.keys():
        if contract[name]["key"] != declared[name]["key"]:
            violations.append(f"{name} has another key")
        columns = declared[name]["columns"]
        violations += [
            f"{name}.{column} was {kind}, and is {columns.get(column, 'gone')}"
            for column, kind in contract[name]["columns"].items()
            if columns.get(column) != kind
        ]
    return sorted(violations)


def test_every_promised_column_is_still_there_as_it_was() -> None:
    assert list_contract_violations(PROMISED, build_contract()) == []


def test_the_file_promises_all_there_is() -> None:
    assert build_contract() == PROMISED, (
        "a published column was added: draft a revision with `python -m crm_pipeline.migrations MESSAGE HOME`,"
        " review it, and run `python -m crm_pipeline.tables.contract`"
    )


@pytest.mark.parametrize(
    ("kept", "complaint"),
    [
        ({}, ["t is gone"]),
        ({"t": {"key": ["email"], "columns": SMALL["t"]["columns"]}}, ["t has another key"]),
        ({"t": {"key": ["id"], "columns": {"id": "uuid not null"}}}, ["t.email was text, and is gone"]),
        (
            {"t": {"key": ["id"], "columns": {"id": "text not null", "email": "text not null"}}},
            ["t.email was text, and is text not null", "t.id was uuid not null, and is text not null"],
        ),
        ({**SMALL, "u": SMALL["t"]}, []),
        ({"t": {"key": ["id"], "columns": {**SMALL["t"]["columns"], "more": "text"}}}, []),
    ],
)
def test_what_breaks_a_promise(kept: dict[str, Any], complaint: list[str]) -> None:
    assert list_contract_violations(SMALL, kept) == complaint
