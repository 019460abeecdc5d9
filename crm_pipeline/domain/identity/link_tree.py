"""The link tree of each cluster: a maximum spanning tree of its pairs, rooted at the anchor record.

The tree grows from the anchor. The strongest pair from a record in the tree to one outside is next; of equal pairs, the
one with the lowest record in the tree, then the lowest outside. So every path to the anchor has the highest confidence.
All clusters grow at once, by one record each per round.
"""

from typing import Final, NamedTuple

import numpy as np

from crm_pipeline.domain.identity.match_rules import NO_RULE, RULE_LEVEL, MatchingPairs
from crm_pipeline.domain.identity.nodes import BoolArray, Int8Array, Int32Array, Int64Array

_PAIR_SIZE: Final = 2


class Links(NamedTuple):
    """Per node the next record towards the anchor (-1 for the anchor itself) and the rule of that pair, (n,)."""

    to: Int32Array
    rule: Int8Array


class _Frontier(NamedTuple):
    """Pairs in both directions, in order of preference: grouped by cluster, strongest first."""

    cluster: Int32Array
    near: Int32Array
    far: Int32Array
    rule: Int8Array

    def where(self, mask: BoolArray | Int64Array) -> "_Frontier":
        return _Frontier(self.cluster[mask], self.near[mask], self.far[mask], self.rule[mask])


def build_link_tree(cluster: Int32Array, anchor: Int32Array, pairs: MatchingPairs) -> Links:
    """Returns the link of every node.

    Args:
        cluster: the cluster of each node, (n,).
        anchor: the anchor record of each cluster, (c,).
        pairs: pairs inside clusters; they connect each cluster.
    """
    links = Links(np.full(len(cluster), -1, np.int32), np.full(len(cluster), NO_RULE, np.int8))
    in_tree = np.zeros(len(cluster), bool)
    in_tree[anchor] = True
    is_lone = np.bincount(cluster, minlength=1)[cluster[pairs.first]] == _PAIR_SIZE
    _link_lone_pairs(links, in_tree, pairs.where(is_lone))
    remaining = _sort_by_preference(cluster, pairs.where(~is_lone))
    while len(remaining.cluster):
        reachable = remaining.where(in_tree[remaining.near])
        chosen = reachable.where(np.flatnonzero(np.diff(reachable.cluster, prepend=-1)))
        links.to[chosen.far], links.rule[chosen.far] = chosen.near, chosen.rule
        in_tree[chosen.far] = True
        remaining = remaining.where(~in_tree[remaining.far])
    return links


def _link_lone_pairs(links: Links, in_tree: BoolArray, pairs: MatchingPairs) -> None:
    """Writes the links of clusters of two records. They are the most, and need no sorting: they have one pair each."""
    anchor = np.where(in_tree[pairs.first], pairs.first, pairs.second)
    other = pairs.first + pairs.second - anchor
    links.to[other], links.rule[other] = anchor, pairs.rule


def _sort_by_preference(cluster: Int32Array, pairs: MatchingPairs) -> _Frontier:
    near = np.concatenate([pairs.first, pairs.second])
    far = np.concatenate([pairs.second, pairs.first])
    rule = np.concatenate([pairs.rule, pairs.rule])
    return _Frontier(cluster[near], near, far, rule).where(np.lexsort((far, near, RULE_LEVEL[rule], cluster[near])))
