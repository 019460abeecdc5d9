"""Whom a person was kept apart from, and why: others who carry the same values, or whom somebody decided about.

Whether two records can be one person is asked of the domain (`Contest.cannot_link`); nothing is resolved anew.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from crm_pipeline.domain.identity.cannot_link import CannotLinkGraph
from crm_pipeline.explain.formatting import Row
from crm_pipeline.explain.labels import CANNOT_LINK_DESCRIPTIONS, format_record_name
from crm_pipeline.explain.lake_reader import PersonRecords
from crm_pipeline.explain.shared_values import (
    ComparedProfile,
    RecordComparison,
    compare_records,
    find_shared_kinds,
    index_links_by_record,
    list_paired_records,
    to_sort_key,
)
from crm_pipeline.explain.warehouse_reader import PublishedTenant, RecordKey
from crm_pipeline.vocabulary import Service


class CannotLinkPair(NamedTuple):
    """Two records that cannot be one person, and the kind of reason."""

    one: RecordKey
    other: RecordKey
    kind: str


class ProfileComparison(NamedTuple):
    """Everything there is between a person and another one."""

    alike: list[RecordComparison]
    reviews: list[Row]
    decisions: list[Row]


def find_non_matches(
    published: PublishedTenant,
    people: PersonRecords,
    own: ComparedProfile,
    reviews: Sequence[Row],
    decisions: Sequence[Row],
) -> list[Row]:
    """Everybody who was not joined with `own` although something speaks for it, or somebody decided about it."""
    carrying = find_shared_kinds(people.sharing(own.links))
    related = set(carrying) | {key for row in (*reviews, *decisions) for key in list_paired_records(row)}
    others = sorted({str(link["profile_id"]) for link in published.links_of(related)} - {own.profile_id})
    names = {str(profile["id"]): profile["display_name"] for profile in published.profiles(others)}
    found = []
    for profile_id in others:
        links = index_links_by_record(published.links(profile_id))
        other = ComparedProfile(profile_id, links, people.people(links))
        between = ProfileComparison(
            compare_records(own, other, carrying),
            [row for row in reviews if _is_between(row, own, other)],
            [row for row in decisions if _is_between(row, own, other)],
        )
        if any(between):
            who = {"profile_id": profile_id, "display_name": names.get(profile_id)}
            found.append(who | _explain_non_match(people.club.min_confidence, own, other, between))
    return found


def _is_between(row: Row, own: ComparedProfile, other: ComparedProfile) -> bool:
    sides = list_paired_records(row)
    return any(key in own.links for key in sides) and any(key in other.links for key in sides)


def _explain_non_match(
    min_confidence: float, own: ComparedProfile, other: ComparedProfile, between: ProfileComparison
) -> Row:
    """Why two profiles are two: what stands between them, in words and as records, and what would make them one."""
    still_open = [row["review_id"] for row in between.reviews if row["closed_at"] is None]
    against = find_cannot_link_pair(own, other, between.decisions)
    best = max((pair.confidence for pair in between.alike), default=0.0)
    pair: tuple[RecordKey, RecordKey] | None = None
    if against:
        why = f"{format_record_name(against.one)} and {format_record_name(against.other)} cannot be one person"
        why += f" ({CANNOT_LINK_DESCRIPTIONS[against.kind]})"
        pair = (against.one, against.other) if against.kind == "SAME_SERVICE" else None
    elif still_open:
        why = "the evidence points to more than one person, so the answer was left to people"
    elif not best:
        why = "what they have in common does not make them one person"
    elif best < min_confidence:
        why = f"the club asks for {min_confidence:.0%} certainty, and this gives {best:.0%}"
    else:
        why = "several people have the same value, and first names speak for another of them"
        pair = (between.alike[0].own, between.alike[0].other)
    return {
        "alike": [pair.as_document() for pair in between.alike],
        "why": why,
        "cannot_link": against
        and {"one": against.one._asdict(), "other": against.other._asdict(), "kind": against.kind},
        "decisions": between.decisions,
        "open_review_ids": still_open,
        "settled_by": pair and _build_override_row(own, *sorted(pair, key=to_sort_key)),
    }


def _build_override_row(own: ComparedProfile, one: RecordKey, other: RecordKey) -> Row:
    """The IdentityOverride row that would join two records."""
    return {
        "tenantId": next(iter(own.links.values()))["tenant_id"],
        "serviceA": one.service,
        "recordIdA": one.record_id,
        "serviceB": other.service,
        "recordIdB": other.record_id,
        "decision": "ALWAYS",
    }


def find_cannot_link_pair(
    own: ComparedProfile, other: ComparedProfile, decisions: Sequence[Row]
) -> CannotLinkPair | None:
    """The first two records, one of each, that cannot be one person."""
    people, links = {**own.people, **other.people}, {**own.links, **other.links}
    keys = list(people)
    contest = _build_cannot_link_input(keys, people, links, decisions)
    for one, two in product(sorted(own.people, key=to_sort_key), sorted(other.people, key=to_sort_key)):
        if kind := contest.cannot_link(keys.index(one), keys.index(two)):
            first, second = sorted((one, two), key=to_sort_key)
            return CannotLinkPair(first, second, kind)
    return None


def _build_cannot_link_input(
    keys: list[RecordKey], people: dict[RecordKey, Row], links: dict[RecordKey, Row], decisions: Sequence[Row]
) -> CannotLinkGraph:
    auth = _encode_values([people[key]["auth_user_id"] for key in keys])
    return CannotLinkGraph(
        service=[list(Service).index(Service(key.service)) for key in keys],
        auth=auth,
        auth_evidence=auth,
        registration=_encode_values([_build_registration_key(people[key], links[key]) for key in keys]),
        first_name=[people[key]["comparable_first_name"] or "" for key in keys],
        first=[],
        second=[],
        level=[],
        links=[],
        always=_list_decided_pairs(keys, decisions, "ALWAYS"),
        never=_list_decided_pairs(keys, decisions, "NEVER"),
    )


def _build_registration_key(person: Row, link: Row) -> tuple[str, ...] | None:
    names = ("email", "phone_number", "comparable_first_name", "comparable_last_name")
    parts = tuple(person[name] for name in names)
    return parts if all(parts) and not (link["email_is_shared"] or link["phone_is_shared"]) else None


def _encode_values(values: Sequence[object]) -> list[int]:
    numbers = {value: number for number, value in enumerate(dict.fromkeys(v for v in values if v is not None))}
    return [-1 if value is None else numbers[value] for value in values]


def _list_decided_pairs(keys: list[RecordKey], decisions: Sequence[Row], decision: str) -> set[tuple[int, int]]:
    pairs = [list_paired_records(row) for row in decisions if row["decision"] == decision]
    places = [sorted(keys.index(key) for key in pair if key in keys) for pair in pairs]
    return {(first, last) for first, last in (place for place in places if len(place) == 2)}  # noqa: PLR2004
