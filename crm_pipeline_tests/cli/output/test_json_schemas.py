"""What `status --json` and `run --json` print is what their schemas in docs promise, no more and no less."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from crm_pipeline.cli.output.json_schemas import DOCS_FOLDER, build_schemas
from crm_pipeline_tests.fixtures.homes.console import TENANTS, crm_pipeline
from crm_pipeline_tests.fixtures.homes.support import AS_OF, SAMPLE

SCHEMAS = build_schemas()


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_file_is_current(name: str) -> None:
    written = json.loads((DOCS_FOLDER / name).read_text(encoding="utf-8"))
    assert written == SCHEMAS[name], "run python -m crm_pipeline.cli.output.json_schemas"


def closed(schema: Any) -> Any:  # noqa: ANN401
    """The same schema, which allows no property that it does not describe."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: closed(each) for name, each in schema.items()}
    return {**strict, "additionalProperties": False} if "required" in strict else strict


def valid(name: str, printed: str) -> dict[str, Any]:
    """The one document on stdout, after comparing it with its schema."""
    document: dict[str, Any] = json.loads(printed)
    Draft202012Validator(closed(SCHEMAS[name]), format_checker=Draft202012Validator.FORMAT_CHECKER).validate(document)
    return document


def test_status_as_json_has_every_club_with_its_services(sample_home: Path) -> None:
    done = crm_pipeline("status", "--json", home=sample_home)
    assert (done.returncode, done.stderr) == (0, "")
    clubs = {club["tenant_id"]: club for club in valid("status-v1.json", done.stdout)["tenants"]}
    assert set(clubs) == set(TENANTS)
    heather = clubs["heather-moor"]
    assert (heather["state"], heather["as_of"]) == ("FRESH", "2026-03-31T12:00:00+00:00")
    assert [service["service"] for service in heather["services"]] == ["SCL", "TEETIME", "MESSAGING", "CRM"]
    assert heather["failed_checks"] == []


def test_run_as_json_is_one_document_and_progress_goes_elsewhere(refreshed: Path, tmp_path: Path) -> None:
    """With a service away, so that something failed."""
    for service in ("crm", "messaging", "scl"):
        (tmp_path / service).symlink_to(SAMPLE / service)
    done = crm_pipeline("run", "--json", "--sources", str(tmp_path), "--as-of", AS_OF, home=refreshed)
    assert done.returncode == 1
    document = valid("run-v1.json", done.stdout)
    (failure,) = document["failures"]
    assert failure.startswith("TEETIME: ")
    assert document["as_of"] == "2026-03-31T12:00:00+00:00"
    assert {tenant["tenant_id"] for tenant in document["tenants"]} == set(TENANTS)
    assert all(sum(tenant["stages"].values()) == tenant["profiles"] > 0 for tenant in document["tenants"])
    assert "✓ published" in done.stderr
    assert f"failed {failure}" in done.stderr.replace("\n", " ")
