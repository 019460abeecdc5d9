"""Identity reviews of rejected pairs, differing names and shared values, each with the row that settles it.

ALWAYS settles an AMBIGUOUS pair, and NEVER every other pair, because it can never join two people. A shared
auth_user_id cannot be suppressed, so a decision about any two of its records settles it, either way.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from crm_pipeline.domain.identity.clustering import Clusters, ReviewCandidate
from crm_pipeline.domain.identity.link_tree import Links
from crm_pipeline.domain.identity.match_keys import AUTH_USER_ID, MATCH_KEY_COLUMNS, MAX_SHARING_RECORDS, MatchKeys
from crm_pipeline.domain.identity.match_rules import ALWAYS, DUPLICATE_REGISTRATION, NO_RULE, RULE_CONFIDENCE, RULES
from crm_pipeline.domain.identity.nodes import BoolArray, Int32Array, Nodes
from crm_pipeline.domain.identity.overrides import Decisions, split_pair_key
from crm_pipeline.domain.table_queries import query_tables
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.projections import to_arrow_schema
from crm_pipeline.vocabulary import ReviewKind

_OPEN_REVIEWS_SQL: Final = Path(__file__).with_name("open_reviews.sql").read_text(encoding="utf-8")
_REVIEWS_SQL: Final = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
_MAX_SHOWN_RECORDS: Final = 10
_MAX_SHOWN_FAULTS: Final = 3


class ReviewInputs(NamedTuple):
    """The results of the earlier steps that reviews are about."""

    keys_by_kind: dict[str, MatchKeys]
    decisions: Decisions
    ineffective_decisions: pa.Table
    clusters: Clusters
    links: Links


def build_identity_reviews(
    con: duckdb.DuckDBPyConnection,
    nodes: Nodes,
    review_inputs: ReviewInputs,
    previous_reviews: pa.Table,
    as_of: datetime,
) -> pa.Table:
    """Returns all rows of `identity_reviews`: what a person has to decide now is open, former reviews are closed."""
    candidates = [
        *review_inputs.clusters.review_candidates,
        *_list_rejected_decisions(review_inputs.decisions),
        *_find_differing_names(nodes, review_inputs.links),
    ]
    relations = {
        "review_candidates": _build_candidate_table(nodes, candidates),
        "sharing_records": _list_sharing_records(nodes, review_inputs),
        "ineffective_decisions": review_inputs.ineffective_decisions,
        "previous_reviews": previous_reviews,
        "tenants": pa.table({"tenant_id": nodes.tenant_ids}),
    }
    params = {"max_sharing_records": MAX_SHARING_RECORDS, "max_shown_records": _MAX_SHOWN_RECORDS}
    params |= {"max_shown_faults": _MAX_SHOWN_FAULTS}
    open_reviews = query_tables(con, _OPEN_REVIEWS_SQL, relations, params)
    reviews = query_tables(con, _REVIEWS_SQL, {**relations, "open_reviews": open_reviews}, {"as_of": as_of})
    return reviews.cast(to_arrow_schema(identity.identity_reviews))


def _list_rejected_decisions(decisions: Decisions) -> Iterable[ReviewCandidate]:
    for pairs, cannot_link in ((decisions.rejected_by_auth, "AUTH_USER_ID"), (decisions.rejected_by_never, "NEVER")):
        for one, other in zip(*(nodes.tolist() for nodes in split_pair_key(pairs)), strict=True):
            yield ReviewCandidate(ReviewKind.REJECTED_ALWAYS, one, other, ALWAYS, one, other, cannot_link)


def _find_differing_names(nodes: Nodes, links: Links) -> Iterable[ReviewCandidate]:
    """Yields the links between services, but for those of operators, whose first names disagree.

    Within a service no link joins two first names that disagree.
    """
    code = nodes.codes["first_name"]
    record = np.flatnonzero(~np.isin(links.rule, (NO_RULE, ALWAYS, DUPLICATE_REGISTRATION)))
    record = record[nodes.first_names.find_disagreements(code[record], code[links.to[record]])]
    partner, rule = links.to[record], links.rule[record]
    sides = np.minimum(record, partner), np.maximum(record, partner), rule
    for one, other, number in zip(*(side.tolist() for side in sides), strict=True):
        yield ReviewCandidate(ReviewKind.NAMES_DIFFER, one, other, number)


def _build_candidate_table(nodes: Nodes, candidates: list[ReviewCandidate]) -> pa.Table:
    kind, first, second, rule, witness_first, witness_second, cannot_link = (
        zip(*candidates, strict=True) if candidates else ((),) * len(ReviewCandidate._fields)
    )
    keys = [nodes.select_keys(np.array(side, np.int64)) for side in (first, second, witness_first, witness_second)]
    columns = {"tenant_id": keys[0]["tenant_id"], "kind": pa.array([str(k) for k in kind], pa.string())}
    columns |= {"rule": pa.array([str(RULES[r]) for r in rule], pa.string())}
    columns |= {"confidence": pa.array(RULE_CONFIDENCE[np.array(rule, np.int64)])}
    columns |= {"cannot_link": pa.array(cannot_link, pa.string())}
    for prefix, one, other in (("", keys[0], keys[1]), ("witness_", keys[2], keys[3])):
        for side, key in (("a", one), ("b", other)):
            columns |= {f"{prefix}service_{side}": key["service"], f"{prefix}record_id_{side}": key["record_id"]}
    return pa.table(columns)


def _list_sharing_records(nodes: Nodes, review_inputs: ReviewInputs) -> pa.Table:
    """Returns every record with a shared value that no operator has decided about."""
    tables = []
    for kind in MATCH_KEY_COLUMNS:
        sharing = review_inputs.keys_by_kind[kind].sharing
        is_open = ~sharing.is_suppressed
        if kind == AUTH_USER_ID:
            is_open &= ~_has_decided_auth(nodes, review_inputs.decisions, sharing.node)
        node = sharing.node[is_open]
        keys = (
            nodes.select_keys(node)
            .append_column("node", pa.array(node))
            .append_column("kind", pa.repeat(kind, len(node)))
        )
        keys = keys.append_column("differs", pa.array(sharing.differs[is_open]))
        tables.append(keys.append_column("value", sharing.value.filter(pa.array(is_open))))
    return pa.concat_tables(tables)


def _has_decided_auth(nodes: Nodes, decisions: Decisions, wanted: Int32Array) -> BoolArray:
    """Whether an operator decided about two records with the auth_user_id of each given node, in its tenant."""
    one, other = split_pair_key(np.concatenate(decisions))
    auth = (nodes.tenant.astype(np.int64) << 32) | nodes.codes["auth_user_id"]
    return np.isin(auth[wanted], auth[one[auth[one] == auth[other]]])
