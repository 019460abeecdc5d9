"""Explanations of a tenant's profiles, as a JSON document (`document.py`) and as a text page (`text_page.py`).

Most facts come from the published tables. The lake adds the services' records, the operators' decisions and the
tenant's settings. Nothing is written. This package alone prints personal data.
"""

from contextlib import closing
from typing import Any

from crm_pipeline.explain.document import build_profile_document
from crm_pipeline.explain.formatting import to_json_value
from crm_pipeline.explain.lake_reader import PersonRecords
from crm_pipeline.explain.lookup import ProfileLookup, find_profiles
from crm_pipeline.explain.subject_access import read_subject_rows
from crm_pipeline.explain.warehouse_reader import ProfileNotFoundError, read_published_tenant
from crm_pipeline.resources.connections import open_lake
from crm_pipeline.settings import Settings

__all__ = ["ProfileLookup", "ProfileNotFoundError", "explain_profiles"]


def explain_profiles(settings: Settings, question: ProfileLookup) -> dict[str, Any]:
    """Returns every profile that matches the lookup, as one document of plain JSON values.

    Raises:
        ProfileNotFoundError: no profile matches; the message says so in one line.
    """
    lake = open_lake(settings)
    with read_published_tenant(settings, question.tenant_id) as published, closing(lake.connect()) as con:
        people = PersonRecords.load(con, lake, question.tenant_id, published.as_of)
        result = find_profiles(question, published, people)
        document: dict[str, Any] = to_json_value(
            {
                "asked": question._asdict() | {"value": result.value, "redirected_from": result.redirected_from},
                "club": {"name": people.tenant.name, "timezone": people.tenant.timezone},
                "as_of": published.as_of,
                "people": [
                    build_profile_document(published, people, profile_id)
                    | {"held_rows": read_subject_rows(people, lake, question.tenant_id, profile_id)}
                    for profile_id in result.profile_ids
                ],
            }
        )
        return document
