"""The rules: every pair of records they make one person, each with its best rule.

Belongs here: the rules and their confidence. Does not belong here: what follows when pairs contradict each other
(`clusters.py`, `conflicts.py`).

A value that is evidence is on at most 3 records of each service, a dozen in all, so pairs are listed one by one.
A pair that can never be accepted, because of its auth_user_ids or an operator's NEVER, is not listed.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from crm_pipeline.domain.identity import match_keys
from crm_pipeline.domain.identity.match_keys import Usable, is_among
from crm_pipeline.domain.identity.nodes import Codes, Flags, Floats, Ints, Nodes
from crm_pipeline.domain.identity.overrides import Decisions, have_different_auth, pair_key, pair_nodes
from crm_pipeline.vocabulary import LinkRule

RULES: Final = tuple(LinkRule)
NO_RULE: Final = RULES.index(LinkRule.ANCHOR)
ALWAYS: Final = RULES.index(LinkRule.ALWAYS)
AUTH_USER_ID: Final = RULES.index(LinkRule.AUTH_USER_ID)
EMAIL_AND_PHONE: Final = RULES.index(LinkRule.EMAIL_AND_PHONE)
DUPLICATE_REGISTRATION: Final = RULES.index(LinkRule.DUPLICATE_REGISTRATION)
EMAIL: Final = RULES.index(LinkRule.EMAIL)
PHONE: Final = RULES.index(LinkRule.PHONE)

CONFIDENCE: Final[Floats] = np.array([1.00, 1.00, 1.00, 0.99, 0.99, 0.95, 0.85])
"""Confidence as stored, by position in `RULES`."""
LEVEL: Final[Codes] = np.array([-1, 0, 1, 2, 2, 3, 4], np.int8)
"""Which of the levels 1.01, 1.00, 0.99, 0.95, 0.85 a rule belongs to, by position in `RULES`."""


class Pairs(NamedTuple):
    """Pairs of nodes and the best rule that holds (position in `RULES`), first < second, sorted.

    `links` is false where a pair is below its tenant's `min_confidence` and only kept to be judged with: whether a
    duplicate registration links must not depend on `min_confidence`, so neither may what contradicts it at its level.
    """

    first: Ints
    second: Ints
    rule: Codes
    links: Flags

    def where(self, mask: Flags | npt.NDArray[np.intp]) -> "Pairs":
        """Some of the pairs."""
        return Pairs(self.first[mask], self.second[mask], self.rule[mask], self.links[mask])


def matching_pairs(nodes: Nodes, usable: dict[str, Usable], decisions: Decisions) -> Pairs:
    """Every pair of records of one tenant that some rule makes one person."""
    auth, email, phone = (usable[kind].code for kind in (match_keys.AUTH_USER_ID, match_keys.EMAIL, match_keys.PHONE))
    always = pair_nodes(decisions.always)
    by_auth = _neighbours(usable[match_keys.AUTH_USER_ID])
    by_email = _without_equal(_neighbours(usable[match_keys.EMAIL]), auth)
    by_phone = _without_equal(_without_equal(_neighbours(usable[match_keys.PHONE]), auth), email)
    found = (
        (always, np.full(len(always[0]), ALWAYS)),
        (by_auth, np.full(len(by_auth[0]), AUTH_USER_ID)),
        (by_email, _rule_of_equal_email(nodes, phone, *by_email)),
        (by_phone, np.where(_are_of_one_service(nodes, *by_phone), NO_RULE, PHONE)),
    )
    first, second = (np.concatenate([pairs[side] for pairs, _ in found]).astype(np.int32) for side in (0, 1))
    rule = np.concatenate([rules for _, rules in found]).astype(np.int8)
    return _listed(nodes, decisions, Pairs(first, second, rule, _reaches_minimum(nodes, first, rule)))


def _neighbours(usable: Usable) -> tuple[Ints, Ints]:
    """All pairs of nodes that carry one value: those next to each other in its order, those one further apart, ..."""
    node, value = usable.node, usable.value
    at, distance = np.arange(len(node)), 0
    found = []
    while len(at):
        distance += 1
        at = at[at < len(node) - distance]
        at = at[value[at] == value[at + distance]]
        found.append((node[at], node[at + distance]))
    return _joined(found)


def _joined(found: list[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    empty = np.empty(0, np.int32)
    first, second = (np.concatenate([empty, *(pair[side] for pair in found)]) for side in (0, 1))
    return first, second


def _without_equal(pairs: tuple[Ints, Ints], code: Ints) -> tuple[Ints, Ints]:
    first, second = pairs
    differ = (code[first] != code[second]) | (code[first] < 0)
    return first[differ], second[differ]


def _are_of_one_service(nodes: Nodes, first: Ints, second: Ints) -> Flags:
    same: Flags = nodes.service[first] == nodes.service[second]
    return same


def _rule_of_equal_email(nodes: Nodes, phone: Ints, first: Ints, second: Ints) -> npt.NDArray[np.intp]:
    equal_phone = (phone[first] == phone[second]) & (phone[first] >= 0)
    rule = np.where(equal_phone, EMAIL_AND_PHONE, EMAIL)
    of_one_service = np.flatnonzero(_are_of_one_service(nodes, first, second))
    is_duplicate = equal_phone[of_one_service]
    for column in ("first_name", "last_name"):
        name = nodes.codes[column]
        one, other = name[first[of_one_service]], name[second[of_one_service]]
        is_duplicate &= (one == other) & (one >= 0)
    rule[of_one_service] = np.where(is_duplicate, DUPLICATE_REGISTRATION, NO_RULE)
    return rule


def _reaches_minimum(nodes: Nodes, first: Ints, rule: Codes) -> Flags:
    reaches: Flags = CONFIDENCE[rule] >= nodes.min_confidence[nodes.tenant[first]]
    reaches |= rule == DUPLICATE_REGISTRATION
    return reaches


def _listed(nodes: Nodes, decisions: Decisions, pairs: Pairs) -> Pairs:
    key = pair_key(pairs.first, pairs.second)
    wanted = (pairs.rule != NO_RULE) & (pairs.links | (pairs.rule == EMAIL_AND_PHONE))
    wanted &= ~have_different_auth(nodes, pairs.first, pairs.second) & ~is_among(key, decisions.never)
    wanted &= (pairs.rule == ALWAYS) | ~is_among(key, decisions.always)
    key, pairs = key[wanted], pairs.where(wanted)
    order = np.argsort(key)
    low, high = pair_nodes(key[order])
    return Pairs(low.astype(np.int32), high.astype(np.int32), pairs.rule[order], pairs.links[order])
