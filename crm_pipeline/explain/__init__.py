"""Who is this, and why: one person of a club laid open, as a document (`--json`) and as a page for people (`page`).

Read are the published tables, and from the lake only what they do not hold: the records as the services have them, the
operators' decisions and the club's settings. Nothing is written. Personal data is printed here and nowhere else.
"""

from contextlib import closing
from typing import Any

from crm_pipeline.explain.document import build_profile_document
from crm_pipeline.explain.formatting import to_json_value
from crm_pipeline.explain.lake_reader import PersonRecords
from crm_pipeline.explain.lookup import ProfileLookup, ProfileNotFoundError, find_profiles
from crm_pipeline.explain.subject_access import read_subject_rows
from crm_pipeline.explain.warehouse_reader import NothingPublishedError, read_published_tenant
from crm_pipeline.resources.connections import open_lake
from crm_pipeline.settings import Settings

__all__ = ["ProfileNotFoundError", "ProfileLookup", "explain_profiles"]


def explain_profiles(settings: Settings, question: ProfileLookup) -> dict[str, Any]:
    """Everybody the question fits, as one document of plain JSON values.

    Raises:
        NothingFoundError: it fits nobody; the message says so in one line.
    """
    lake = open_lake(settings)
    try:
        with read_published_tenant(settings, question.tenant_id) as published, closing(lake.connect()) as con:
            people = PersonRecords.load(con, lake, question.tenant_id, published.as_of)
            found = find_profiles(question, published, people)
            answer: dict[str, Any] = to_json_value(
                {
                    "asked": {
                        "tenant_id": question.tenant_id,
                        "by": question.by,
                        "value": found.value,
                        "redirected_from": found.redirected_from,
                    },
                    "club": {"name": people.club.name, "timezone": people.club.timezone},
                    "as_of": published.as_of,
                    "people": [
                        build_profile_document(published, people, profile_id)
                        | {"held_rows": read_subject_rows(people, lake, question.tenant_id, profile_id)}
                        for profile_id in found.profile_ids
                    ],
                }
            )
            return answer
    except NothingPublishedError as error:
        raise ProfileNotFoundError(str(error)) from None
