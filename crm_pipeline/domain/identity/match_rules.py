"""The match rules with their confidence, and every pair of records that matches, each with its best rule.

At most 3 records of each service have the same match key, 12 in all, so pairs are listed one by one.
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
"""The level of a rule (position in 1.01, 1.00, 0.99, 0.95, 0.85), by position in `RULES`."""


class MatchingPairs(NamedTuple):
    """Pairs of nodes and the best rule that holds (position in `RULES`), first < second, sorted.

    `links` is false where a pair is below its tenant's `min_confidence` and may only contradict others: whether a
    duplicate registration links must not depend on `min_confidence`, so neither may what contradicts it at its level.
    """

    first: Int32Array
    second: Int32Array
    rule: Int8Array
    links: BoolArray

    def where(self, mask: BoolArray | npt.NDArray[np.intp]) -> "MatchingPairs":
        """Returns some of the pairs."""
        return MatchingPairs(self.first[mask], self.second[mask], self.rule[mask], self.links[mask])


def find_matching_pairs(nodes: Nodes, keys_by_kind: dict[str, MatchKeys], decisions: Decisions) -> MatchingPairs:
    """Returns every pair of records of one tenant that matches by a rule.

    Pairs that can never be accepted, because of their auth_user_ids or an operator's NEVER, are left out.
    """
    auth, email, phone = (
        keys_by_kind[kind].code for kind in (match_keys.AUTH_USER_ID, match_keys.EMAIL, match_keys.PHONE)
    )
    always = split_pair_key(decisions.always)
    by_auth = _pair_equal_values(keys_by_kind[match_keys.AUTH_USER_ID])
    by_email = _exclude_equal_pairs(_pair_equal_values(keys_by_kind[match_keys.EMAIL]), auth)
    by_phone = _exclude_equal_pairs(
        _exclude_equal_pairs(_pair_equal_values(keys_by_kind[match_keys.PHONE]), auth), email
    )
    found = (
        (always, np.full(len(always[0]), ALWAYS)),
        (by_auth, _select_auth_rule(nodes, *by_auth)),
        (by_email, _select_email_rule(nodes, phone, *by_email)),
        (by_phone, np.where(_are_of_one_service(nodes, *by_phone), NO_RULE, PHONE)),
    )
    first, second = (np.concatenate([pairs[side] for pairs, _ in found]).astype(np.int32) for side in (0, 1))
    rule = np.concatenate([rules for _, rules in found]).astype(np.int8)
    return _select_allowed_pairs(
        nodes, decisions, MatchingPairs(first, second, rule, _has_min_confidence(nodes, first, rule))
    )


def _pair_equal_values(keys: MatchKeys) -> tuple[Int32Array, Int32Array]:
    """Returns all pairs of nodes with the same value: those next to each other, then one further apart, ..."""
    node, value = keys.node, keys.value
    at, distance = np.arange(len(node)), 0
    found = []
    while len(at):
        distance += 1
        at = at[at < len(node) - distance]
        at = at[value[at] == value[at + distance]]
        found.append((node[at], node[at + distance]))
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


def _select_auth_rule(nodes: Nodes, first: Int32Array, second: Int32Array) -> npt.NDArray[np.intp]:
    """Within a service a login is evidence only where first names do not disagree: a parent's serves the children."""
    rule = np.full(len(first), AUTH_USER_ID)
    of_one_service, name = np.flatnonzero(_are_of_one_service(nodes, first, second)), nodes.codes["first_name"]
    one, other = name[first[of_one_service]], name[second[of_one_service]]
    rule[of_one_service[nodes.first_names.find_disagreements(one, other, strictly=True)]] = NO_RULE
    return rule


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
    is_enough: BoolArray = RULE_CONFIDENCE[rule] >= nodes.min_confidence[nodes.tenant[first]]
    is_enough |= rule == DUPLICATE_REGISTRATION
    return is_enough


def _select_allowed_pairs(nodes: Nodes, decisions: Decisions, pairs: MatchingPairs) -> MatchingPairs:
    key = build_pair_key(pairs.first, pairs.second)
    wanted = (pairs.rule != NO_RULE) & (pairs.links | (pairs.rule == EMAIL_AND_PHONE))
    wanted &= ~have_different_auth(nodes, pairs.first, pairs.second) & ~is_among(key, decisions.never)
    wanted &= (pairs.rule == ALWAYS) | ~is_among(key, decisions.always)
    key, pairs = key[wanted], pairs.where(wanted)
    order = np.argsort(key)
    low, high = split_pair_key(key[order])
    return MatchingPairs(low.astype(np.int32), high.astype(np.int32), pairs.rule[order], pairs.links[order])
