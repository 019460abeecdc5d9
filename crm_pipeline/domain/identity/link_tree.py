"""The evidence that is kept: per cluster a tree of links, rooted at the anchor record.

Belongs here: which link of a record leads to the anchor. Does not belong here: which pairs are evidence (`pairs.py`,
`clusters.py`), or which record is the anchor (`profile_ids.py`).

The tree is a maximum spanning tree, grown from the anchor: the strongest pair from a record already in the tree to one
that is not is taken next, of equals the one with the lowest record in the tree, then the lowest outside. So the path to
the anchor is one of highest confidence. All clusters grow at once, a record each in every round.
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
    """Pairs in both directions, in the order they are preferred: grouped by cluster, strongest first."""

    cluster: Int32Array
    near: Int32Array
    far: Int32Array
    rule: Int8Array

    def where(self, mask: BoolArray | Int64Array) -> "_Frontier":
        return _Frontier(self.cluster[mask], self.near[mask], self.far[mask], self.rule[mask])


def build_link_tree(cluster: Int32Array, anchor: Int32Array, evidence: MatchingPairs) -> Links:
    """The link of every node.

    Args:
        cluster: the cluster of each node, (n,).
        anchor: the anchor record of each cluster, (c,).
        evidence: pairs inside clusters; they connect each cluster.
    """
    links = Links(np.full(len(cluster), -1, np.int32), np.full(len(cluster), NO_RULE, np.int8))
    in_tree = np.zeros(len(cluster), bool)
    in_tree[anchor] = True
    is_lone = np.bincount(cluster, minlength=1)[cluster[evidence.first]] == _PAIR_SIZE
    _link_lone_pairs(links, in_tree, evidence.where(is_lone))
    waiting = _sort_by_preference(cluster, evidence.where(~is_lone))
    while len(waiting.cluster):
        reached = waiting.where(in_tree[waiting.near])
        chosen = reached.where(np.flatnonzero(np.diff(reached.cluster, prepend=-1)))
        links.to[chosen.far], links.rule[chosen.far] = chosen.near, chosen.rule
        in_tree[chosen.far] = True
        waiting = waiting.where(~in_tree[waiting.far])
    return links


def _link_lone_pairs(links: Links, in_tree: BoolArray, pairs: MatchingPairs) -> None:
    """The links of clusters of two records, most of all: there is nothing to choose, so nothing has to be sorted."""
    anchor = np.where(in_tree[pairs.first], pairs.first, pairs.second)
    other = pairs.first + pairs.second - anchor
    links.to[other], links.rule[other] = anchor, pairs.rule


def _sort_by_preference(cluster: Int32Array, evidence: MatchingPairs) -> _Frontier:
    near = np.concatenate([evidence.first, evidence.second])
    far = np.concatenate([evidence.second, evidence.first])
    rule = np.concatenate([evidence.rule, evidence.rule])
    return _Frontier(cluster[near], near, far, rule).where(np.lexsort((far, near, RULE_LEVEL[rule], cluster[near])))
