"""JSON Schemas of what `status --json` and `run --json` print; `python -m` of this module writes them.

Within a version a property may be added or better described; none disappears or changes its type.
"""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from crm_pipeline.tables.projections import to_json_schema
from crm_pipeline.tables.views import service_freshness, tenant_freshness
from crm_pipeline.vocabulary import LifecycleStage, LinkRule

DOCS_FOLDER: Final = Path(__file__).parents[3] / "docs"
Schema = dict[str, Any]


def build_schemas() -> dict[str, Schema]:
    """Returns the schemas by file name."""
    return {"status-v1.json": _build_status_schema(), "run-v1.json": _build_run_schema()}


def _build_status_schema() -> Schema:
    services = [column for column in service_freshness.columns if column.name != "tenant_id"]
    check = _build_object(
        suite=_describe("string", "The suite it is of."),
        expectation=_describe("string", "The expectation, with its column."),
        is_critical=_describe("boolean", "Whether it keeps the club from being published."),
        observed=_describe(["string", "null"], "What was found instead; null where the counts say it."),
    )
    tenant = _build_object(
        **{column.name: to_json_schema(column) for column in tenant_freshness.columns},
        services=_build_list(
            _build_object(**{column.name: to_json_schema(column) for column in services}),
            str(service_freshness.comment),
        ),
        open_reviews=_describe_count("Questions about identities that nobody settled yet."),
        quarantined_records=_describe_count("Records and values quarantined now."),
        ineffective_decisions=_describe_count("Overrides and suppressed identifiers among them: they have no effect."),
        failed_checks=_build_list(check, "Expectations that did not hold when last checked."),
    )
    tenants = _build_list(tenant, "Every club that a refresh ever covered, by id.")
    return _build_document("crm-pipeline status --json", tenants=tenants)


def _build_run_schema() -> Schema:
    tenant = _build_object(
        tenant_id=_describe("string", "The club."),
        records=_describe_count("Rows the services have of it."),
        profiles=_describe_count("Its people."),
        links_by_rule=_build_counts(LinkRule, "Links between records, by the rule that made them."),
        stages=_build_counts(LifecycleStage, "Profiles by lifecycle stage."),
        open_reviews=_describe_count("Questions about identities that nobody settled yet."),
        timeline_events=_describe_count("Events on its timeline."),
        quarantined_records=_describe_count("Records and values quarantined now."),
    )
    return _build_document(
        "crm-pipeline run --json",
        as_of={"type": "string", "format": "date-time", "description": "The hour the run speaks of."},
        is_dry_run=_describe("boolean", "Whether nothing was published."),
        seconds=_describe("number", "How long it took."),
        published_rows=_describe_count("Rows changed in customer_profiles and customer_timeline."),
        failures=_build_list({"type": "string"}, "What failed, naming each club and service; then the exit code is 1."),
        tenants=_build_list(tenant, "Every club with a snapshot in the lake, by id."),
    )


def _build_document(title: str, **properties: Schema) -> Schema:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **_build_object(**properties),
    }


def _build_object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _build_list(items: Schema, description: str) -> Schema:
    return {"type": "array", "description": description, "items": items}


def _build_counts(names: Iterable[StrEnum], description: str) -> Schema:
    return {
        "type": "object",
        "description": description,
        "propertyNames": {"enum": list(map(str, names))},
        "additionalProperties": {"type": "integer", "minimum": 1},
    }


def _describe(kind: str | list[str], description: str) -> Schema:
    return {"type": kind, "description": description}


def _describe_count(description: str) -> Schema:
    return {"type": "integer", "minimum": 0, "description": description}


def write_schemas(schemas: Mapping[str, Schema]) -> None:
    """Writes each schema to its file in docs."""
    for name, schema in schemas.items():
        (DOCS_FOLDER / name).write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_schemas(build_schemas())
