"""Whom a person was kept apart from, and why: others who carry the same values, or whom somebody decided about.

Whether two records can be one person is asked of the domain (`Contest.cannot_link`); nothing is resolved anew.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from crm_pipeline.domain.identity.cannot_link import Contest
from crm_pipeline.explain.formatting import Row
from crm_pipeline.explain.labels import CANNOT_LINK, record_name
from crm_pipeline.explain.lake_reader import KnownPeople
from crm_pipeline.explain.shared_values import Alike, Side, alikes, carriers, keys_of, place, sides_of
from crm_pipeline.explain.warehouse_reader import Key, Published
from crm_pipeline.vocabulary import Service


class CannotLink(NamedTuple):
    """Two records that cannot be one person, and the kind of reason."""

    one: Key
    other: Key
    kind: str


class Between(NamedTuple):
    """Everything there is between a person and another one."""

    alike: list[Alike]
    reviews: list[Row]
    decisions: list[Row]


def refusals(
    published: Published, people: KnownPeople, own: Side, reviews: Sequence[Row], decisions: Sequence[Row]
) -> list[Row]:
    """Everybody who was not joined with `own` although something speaks for it, or somebody decided about it."""
    carrying = carriers(people.sharing(own.links))
    related = set(carrying) | {key for row in (*reviews, *decisions) for key in sides_of(row)}
    others = sorted({str(link["profile_id"]) for link in published.links_of(related)} - {own.profile_id})
    names = {str(profile["id"]): profile["display_name"] for profile in published.profiles(others)}
    found = []
    for profile_id in others:
        links = keys_of(published.links(profile_id))
        other = Side(profile_id, links, people.people(links))
        between = Between(
            alikes(own, other, carrying),
            [row for row in reviews if _is_between(row, own, other)],
            [row for row in decisions if _is_between(row, own, other)],
        )
        if any(between):
            who = {"profile_id": profile_id, "display_name": names.get(profile_id)}
            found.append(who | _judged(people.club.min_confidence, own, other, between))
    return found


def _is_between(row: Row, own: Side, other: Side) -> bool:
    sides = sides_of(row)
    return any(key in own.links for key in sides) and any(key in other.links for key in sides)


def _judged(min_confidence: float, own: Side, other: Side, between: Between) -> Row:
    """Why two profiles are two: what stands between them, in words and as records, and what would make them one."""
    still_open = [row["review_id"] for row in between.reviews if row["closed_at"] is None]
    against = cannot_link(own, other, between.decisions)
    best = max((pair.confidence for pair in between.alike), default=0.0)
    pair: tuple[Key, Key] | None = None
    if against:
        why = f"{record_name(against.one)} and {record_name(against.other)} cannot be one person"
        why += f" ({CANNOT_LINK[against.kind]})"
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
        "settled_by": pair and _always(own, *sorted(pair, key=place)),
    }


def _always(own: Side, one: Key, other: Key) -> Row:
    """The IdentityOverride row that would join two records."""
    return {
        "tenantId": next(iter(own.links.values()))["tenant_id"],
        "serviceA": one.service,
        "recordIdA": one.record_id,
        "serviceB": other.service,
        "recordIdB": other.record_id,
        "decision": "ALWAYS",
    }


def cannot_link(own: Side, other: Side, decisions: Sequence[Row]) -> CannotLink | None:
    """The first two records, one of each, that cannot be one person."""
    people, links = {**own.people, **other.people}, {**own.links, **other.links}
    keys = list(people)
    contest = _contest(keys, people, links, decisions)
    for one, two in product(sorted(own.people, key=place), sorted(other.people, key=place)):
        if kind := contest.cannot_link(keys.index(one), keys.index(two)):
            first, second = sorted((one, two), key=place)
            return CannotLink(first, second, kind)
    return None


def _contest(keys: list[Key], people: dict[Key, Row], links: dict[Key, Row], decisions: Sequence[Row]) -> Contest:
    auth = _codes([people[key]["auth_user_id"] for key in keys])
    return Contest(
        service=[list(Service).index(Service(key.service)) for key in keys],
        auth=auth,
        auth_evidence=auth,
        registration=_codes([_registration(people[key], links[key]) for key in keys]),
        first_name=[people[key]["comparable_first_name"] or "" for key in keys],
        first=[],
        second=[],
        level=[],
        links=[],
        always=_decided(keys, decisions, "ALWAYS"),
        never=_decided(keys, decisions, "NEVER"),
    )


def _registration(person: Row, link: Row) -> tuple[str, ...] | None:
    names = ("email", "phone_number", "comparable_first_name", "comparable_last_name")
    parts = tuple(person[name] for name in names)
    return parts if all(parts) and not (link["email_is_shared"] or link["phone_is_shared"]) else None


def _codes(values: Sequence[object]) -> list[int]:
    numbers = {value: number for number, value in enumerate(dict.fromkeys(v for v in values if v is not None))}
    return [-1 if value is None else numbers[value] for value in values]


def _decided(keys: list[Key], decisions: Sequence[Row], decision: str) -> set[tuple[int, int]]:
    pairs = [sides_of(row) for row in decisions if row["decision"] == decision]
    places = [sorted(keys.index(key) for key in pair if key in keys) for pair in pairs]
    return {(first, last) for first, last in (place for place in places if len(place) == 2)}  # noqa: PLR2004
