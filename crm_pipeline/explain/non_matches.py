"""Profiles that were not merged with a profile although they share values, reviews or decisions, and the reasons.

`CannotLinkGraph.find_cannot_link` of the domain evaluates whether two records can be one person.
"""

from collections.abc import Collection, Sequence
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
    find_shared_logins,
    index_links_by_record,
    list_paired_records,
    read_first_names,
    to_sort_key,
)
from crm_pipeline.explain.warehouse_reader import PublishedTenant, RecordKey


class CannotLinkPair(NamedTuple):
    """Two records that cannot be one person, and the reason, a key of `CANNOT_LINK_DESCRIPTIONS`."""

    one: RecordKey
    other: RecordKey
    kind: str


class ProfileComparison(NamedTuple):
    """What two profiles have in common: pairs of records with equal values, reviews, and operators' decisions.

    Also the logins of theirs that say nothing about who somebody is.
    """

    comparisons: list[RecordComparison]
    reviews: list[Row]
    decisions: list[Row]
    shared_logins: Collection[str]


def find_non_matches(
    published: PublishedTenant,
    people: PersonRecords,
    own: ComparedProfile,
    reviews: Sequence[Row],
    decisions: Sequence[Row],
) -> list[Row]:
    """Returns a document per other profile that shares a value, a review or a decision with `own`."""
    sharing = people.records_sharing_values(own.links)
    with_login = {RecordKey(row["service"], row["record_id"]) for row in sharing if row["kind"] == "auth_user_id"}
    linked = index_links_by_record(published.links_of_records(with_login))
    shared_logins = find_shared_logins(people.comparison_rows(with_login), linked)
    shared_kinds = find_shared_kinds(sharing, shared_logins)
    related = set(shared_kinds) | {key for row in (*reviews, *decisions) for key in list_paired_records(row)}
    others = sorted({str(link["profile_id"]) for link in published.links_of_records(related)} - {own.profile_id})
    names = {str(profile["id"]): profile["display_name"] for profile in published.profiles(others)}
    documents = []
    for profile_id in others:
        links = index_links_by_record(published.links_of_profile(profile_id))
        other = ComparedProfile(profile_id, links, people.comparison_rows(links))
        comparison = ProfileComparison(
            compare_records(own, other, shared_kinds),
            [row for row in reviews if _is_between(row, own, other)],
            [row for row in decisions if _is_between(row, own, other)],
            shared_logins,
        )
        if any(comparison[:3]):
            reason = _explain_non_match(people.tenant.min_confidence, own, other, comparison)
            documents.append({"profile_id": profile_id, "display_name": names.get(profile_id)} | reason)
    return documents


def _is_between(row: Row, own: ComparedProfile, other: ComparedProfile) -> bool:
    records = list_paired_records(row)
    return any(key in own.links for key in records) and any(key in other.links for key in records)


def _explain_non_match(
    min_confidence: float, own: ComparedProfile, other: ComparedProfile, comparison: ProfileComparison
) -> Row:
    """Returns the facts and the reason why two profiles are two, and the override row that would merge them."""
    open_review_ids = [row["review_id"] for row in comparison.reviews if row["closed_at"] is None]
    cannot_link = find_cannot_link_pair(own, other, comparison.decisions, comparison.shared_logins)
    why, pair = _find_reason(min_confidence, comparison.comparisons, cannot_link, has_open_review=bool(open_review_ids))
    return {
        "alike": [alike.as_document() for alike in comparison.comparisons],
        "why": why,
        "cannot_link": cannot_link
        and {"one": cannot_link.one._asdict(), "other": cannot_link.other._asdict(), "kind": cannot_link.kind},
        "decisions": comparison.decisions,
        "open_review_ids": open_review_ids,
        "settled_by": pair and _build_override_row(own, *sorted(pair, key=to_sort_key)),
    }


def _find_reason(
    min_confidence: float,
    comparisons: Sequence[RecordComparison],
    cannot_link: CannotLinkPair | None,
    *,
    has_open_review: bool,
) -> tuple[str, tuple[RecordKey, RecordKey] | None]:
    """Returns the reason in words, and the two records that an override row can join, if any."""
    if cannot_link:
        records = (cannot_link.one, cannot_link.other)
        why = f"{format_record_name(records[0])} and {format_record_name(records[1])} cannot be one person"
        why += f" ({CANNOT_LINK_DESCRIPTIONS[cannot_link.kind]})"
        return why, records if cannot_link.kind == "SAME_SERVICE" else None
    if has_open_review:
        return "the evidence points to more than one person, so the answer was left to people", None
    best = max((comparison.confidence for comparison in comparisons), default=0.0)
    if not best:
        return "what they have in common does not make them one person", None
    if best < min_confidence:
        return f"the club asks for {min_confidence:.0%} certainty, and this gives {best:.0%}", None
    why = "several people have the same value, and first names speak for another of them"
    return why, (comparisons[0].own, comparisons[0].other)


def _build_override_row(own: ComparedProfile, one: RecordKey, other: RecordKey) -> Row:
    """Returns the IdentityOverride row that would join two records."""
    return {
        "tenantId": next(iter(own.links.values()))["tenant_id"],
        "serviceA": one.service,
        "recordIdA": one.record_id,
        "serviceB": other.service,
        "recordIdB": other.record_id,
        "decision": "ALWAYS",
    }


def find_cannot_link_pair(
    own: ComparedProfile, other: ComparedProfile, decisions: Sequence[Row], shared_logins: Collection[str]
) -> CannotLinkPair | None:
    """Returns the first pair of records, one of each profile, that cannot be one person."""
    people, links = own.comparison_rows | other.comparison_rows, own.links | other.links
    own_keys, other_keys = (sorted(profile.comparison_rows, key=to_sort_key) for profile in (own, other))
    for pair in product(own_keys, other_keys):
        decided = {row["decision"] for row in decisions if set(list_paired_records(row)) == set(pair)}
        graph = _build_pair_graph({key: people[key] for key in pair}, links, decided, shared_logins)
        if kind := graph.find_cannot_link(0, 1):
            first, second = sorted(pair, key=to_sort_key)
            return CannotLinkPair(first, second, kind)
    return None


def _build_pair_graph(
    people: dict[RecordKey, Row], links: dict[RecordKey, Row], decided: set[str], shared_logins: Collection[str]
) -> CannotLinkGraph:
    """Returns the graph of two records, with what staff decided about them."""
    logins = [person["auth_user_id"] for person in people.values()]
    return CannotLinkGraph(
        service=_encode_values([key.service for key in people]),
        auth=_encode_values(logins),
        auth_match_key=_encode_values([None if login in shared_logins else login for login in logins]),
        registration=_encode_values([_build_registration_key(person, links[key]) for key, person in people.items()]),
        first_name=[0, 1],
        first=[],
        second=[],
        level=[],
        links=[],
        names=read_first_names(people.values()),
        always={(0, 1)} if "ALWAYS" in decided else set(),
        never={(0, 1)} if "NEVER" in decided else set(),
    )


def _build_registration_key(person: Row, link: Row) -> tuple[str, ...] | None:
    names = ("email", "phone_number", "comparable_first_name", "comparable_last_name")
    parts = tuple(person[name] for name in names)
    return parts if all(parts) and not (link["email_is_shared"] or link["phone_is_shared"]) else None


def _encode_values(values: Sequence[object]) -> list[int]:
    numbers = {value: number for number, value in enumerate(dict.fromkeys(v for v in values if v is not None))}
    return [-1 if value is None else numbers[value] for value in values]
