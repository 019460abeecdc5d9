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
from crm_pipeline.domain.identity.match_keys import MatchKeys, is_among
from crm_pipeline.domain.identity.nodes import BoolArray, Float64Array, Int8Array, Int32Array, Nodes
from crm_pipeline.domain.identity.overrides import Decisions, build_pair_key, have_different_auth, split_pair_key
from crm_pipeline.vocabulary import LinkRule

RULES: Final = tuple(LinkRule)
NO_RULE: Final = RULES.index(LinkRule.ANCHOR)
ALWAYS: Final = RULES.index(LinkRule.ALWAYS)
AUTH_USER_ID: Final = RULES.index(LinkRule.AUTH_USER_ID)
EMAIL_AND_PHONE: Final = RULES.index(LinkRule.EMAIL_AND_PHONE)
DUPLICATE_REGISTRATION: Final = RULES.index(LinkRule.DUPLICATE_REGISTRATION)
EMAIL: Final = RULES.index(LinkRule.EMAIL)
PHONE: Final = RULES.index(LinkRule.PHONE)

RULE_CONFIDENCE: Final[Float64Array] = np.array([1.00, 1.00, 1.00, 0.99, 0.99, 0.95, 0.85])
"""Confidence as stored, by position in `RULES`."""
RULE_LEVEL: Final[Int8Array] = np.array([-1, 0, 1, 2, 2, 3, 4], np.int8)
"""Which of the levels 1.01, 1.00, 0.99, 0.95, 0.85 a rule belongs to, by position in `RULES`."""


class MatchingPairs(NamedTuple):
    """Pairs of nodes and the best rule that holds (position in `RULES`), first < second, sorted.

    `links` is false where a pair is below its tenant's `min_confidence` and only kept to be judged with: whether a
    duplicate registration links must not depend on `min_confidence`, so neither may what contradicts it at its level.
    """

    first: Int32Array
    second: Int32Array
    rule: Int8Array
    links: BoolArray

    def where(self, mask: BoolArray | npt.NDArray[np.intp]) -> "MatchingPairs":
        """Some of the pairs."""
        return MatchingPairs(self.first[mask], self.second[mask], self.rule[mask], self.links[mask])


def find_matching_pairs(nodes: Nodes, usable: dict[str, MatchKeys], decisions: Decisions) -> MatchingPairs:
    """Every pair of records of one tenant that some rule makes one person."""
    auth, email, phone = (usable[kind].code for kind in (match_keys.AUTH_USER_ID, match_keys.EMAIL, match_keys.PHONE))
    always = split_pair_key(decisions.always)
    by_auth = _pair_equal_values(usable[match_keys.AUTH_USER_ID])
    by_email = _exclude_equal_pairs(_pair_equal_values(usable[match_keys.EMAIL]), auth)
    by_phone = _exclude_equal_pairs(_exclude_equal_pairs(_pair_equal_values(usable[match_keys.PHONE]), auth), email)
    found = (
        (always, np.full(len(always[0]), ALWAYS)),
        (by_auth, np.full(len(by_auth[0]), AUTH_USER_ID)),
        (by_email, _select_email_rule(nodes, phone, *by_email)),
        (by_phone, np.where(_are_of_one_service(nodes, *by_phone), NO_RULE, PHONE)),
    )
    first, second = (np.concatenate([pairs[side] for pairs, _ in found]).astype(np.int32) for side in (0, 1))
    rule = np.concatenate([rules for _, rules in found]).astype(np.int8)
    return _select_allowed_pairs(
        nodes, decisions, MatchingPairs(first, second, rule, _has_min_confidence(nodes, first, rule))
    )


def _pair_equal_values(usable: MatchKeys) -> tuple[Int32Array, Int32Array]:
    """All pairs of nodes that carry one value: those next to each other in its order, those one further apart, ..."""
    node, value = usable.node, usable.value
    at, distance = np.arange(len(node)), 0
    found = []
    while len(at):
        distance += 1
        at = at[at < len(node) - distance]
        at = at[value[at] == value[at + distance]]
        found.append((node[at], node[at + distance]))
    return _concatenate_pairs(found)


def _concatenate_pairs(found: list[tuple[Int32Array, Int32Array]]) -> tuple[Int32Array, Int32Array]:
    empty = np.empty(0, np.int32)
    first, second = (np.concatenate([empty, *(pair[side] for pair in found)]) for side in (0, 1))
    return first, second


def _exclude_equal_pairs(pairs: tuple[Int32Array, Int32Array], code: Int32Array) -> tuple[Int32Array, Int32Array]:
    first, second = pairs
    differ = (code[first] != code[second]) | (code[first] < 0)
    return first[differ], second[differ]


def _are_of_one_service(nodes: Nodes, first: Int32Array, second: Int32Array) -> BoolArray:
    same: BoolArray = nodes.service[first] == nodes.service[second]
    return same


def _select_email_rule(nodes: Nodes, phone: Int32Array, first: Int32Array, second: Int32Array) -> npt.NDArray[np.intp]:
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


def _has_min_confidence(nodes: Nodes, first: Int32Array, rule: Int8Array) -> BoolArray:
    reaches: BoolArray = RULE_CONFIDENCE[rule] >= nodes.min_confidence[nodes.tenant[first]]
    reaches |= rule == DUPLICATE_REGISTRATION
    return reaches


def _select_allowed_pairs(nodes: Nodes, decisions: Decisions, pairs: MatchingPairs) -> MatchingPairs:
    key = build_pair_key(pairs.first, pairs.second)
    wanted = (pairs.rule != NO_RULE) & (pairs.links | (pairs.rule == EMAIL_AND_PHONE))
    wanted &= ~have_different_auth(nodes, pairs.first, pairs.second) & ~is_among(key, decisions.never)
    wanted &= (pairs.rule == ALWAYS) | ~is_among(key, decisions.always)
    key, pairs = key[wanted], pairs.where(wanted)
    order = np.argsort(key)
    low, high = split_pair_key(key[order])
    return MatchingPairs(low.astype(np.int32), high.astype(np.int32), pairs.rule[order], pairs.links[order])
