"""Who is this, and why: one person of a club laid open, as a document (`--json`) and as a page for people (`page`).

Read are the published tables, and from the lake only what they do not hold: the records as the services have them, the
operators' decisions and the club's settings. Nothing is written. Personal data is printed here and nowhere else.
"""

from contextlib import closing
from typing import Any

from crm_pipeline.explain.document import describe
from crm_pipeline.explain.formatting import plain
from crm_pipeline.explain.lake_reader import KnownPeople
from crm_pipeline.explain.lookup import NothingFoundError, Question, find
from crm_pipeline.explain.subject_access import holdings
from crm_pipeline.explain.warehouse_reader import NothingPublishedError, read_published
from crm_pipeline.resources.connections import lake_of
from crm_pipeline.settings import Settings

__all__ = ["NothingFoundError", "Question", "explain"]


def explain(settings: Settings, question: Question) -> dict[str, Any]:
    """Everybody the question fits, as one document of plain JSON values.

    Raises:
        NothingFoundError: it fits nobody; the message says so in one line.
    """
    lake = lake_of(settings)
    try:
        with read_published(settings, question.tenant_id) as published, closing(lake.connect()) as con:
            people = KnownPeople.load(con, lake, question.tenant_id, published.as_of)
            found = find(question, published, people)
            answer: dict[str, Any] = plain(
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
                        describe(published, people, profile_id)
                        | {"held_rows": holdings(people, lake, question.tenant_id, profile_id)}
                        for profile_id in found.profile_ids
                    ],
                }
            )
            return answer
    except NothingPublishedError as error:
        raise NothingFoundError(str(error)) from None
