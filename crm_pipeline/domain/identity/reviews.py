"""Questions for a person: what was refused, looks odd or is no evidence, why, and the row that would settle it.

Belongs here: what is asked, and opening and closing against the questions of former runs. Does not belong here: the
refusals themselves (`conflicts.py`, `decisions.py`, `evidence.py`).

An AMBIGUOUS pair is settled by ALWAYS, and every other pair by NEVER, the answer that can never join two people. A
shared auth_user_id cannot be suppressed, so a decision about any two of the records that carry it settles it.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from crm_pipeline.domain.identity.cannot_link import are_names_compatible
from crm_pipeline.domain.identity.clustering import Clusters, ReviewCandidate
from crm_pipeline.domain.identity.link_tree import Links
from crm_pipeline.domain.identity.match_keys import AUTH_USER_ID, MATCH_KEY_COLUMNS, MAX_SHARING_RECORDS, MatchKeys
from crm_pipeline.domain.identity.match_rules import ALWAYS, EMAIL, EMAIL_AND_PHONE, PHONE, RULE_CONFIDENCE, RULES
from crm_pipeline.domain.identity.nodes import BoolArray, Int32Array, Nodes
from crm_pipeline.domain.identity.overrides import Decisions, split_pair_key
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.projections import to_arrow_schema
from crm_pipeline.vocabulary import ReviewKind

_OPEN_REVIEWS_SQL: Final = Path(__file__).with_name("open_reviews.sql").read_text(encoding="utf-8")
_REVIEWS_SQL: Final = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
_MAX_SHOWN_RECORDS: Final = 10


class ReviewInputs(NamedTuple):
    """What there is to ask about."""

    usable: dict[str, MatchKeys]
    decisions: Decisions
    clusters: Clusters
    links: Links


def build_identity_reviews(
    con: duckdb.DuckDBPyConnection, nodes: Nodes, findings: ReviewInputs, previous_reviews: pa.Table, as_of: datetime
) -> pa.Table:
    """All rows of `identity_reviews`: what is asked now is open, what no longer is gets closed, and the past stays."""
    doubts = [
        *findings.clusters.doubts,
        *_list_rejected_decisions(findings.decisions),
        *_find_differing_names(nodes, findings.links),
    ]
    relations = {
        "doubtful_pairs": _build_candidate_table(nodes, doubts),
        "shared_carriers": _list_sharing_records(nodes, findings),
        "previous_reviews": previous_reviews,
        "tenants": pa.table({"tenant_id": nodes.tenant_ids}),
    }
    for name, table in relations.items():
        con.register(name, table)
    params = {"most_carriers": MAX_SHARING_RECORDS, "shown_carriers": _MAX_SHOWN_RECORDS}
    con.register("questions", con.sql(_OPEN_REVIEWS_SQL, params=params).to_arrow_table())
    reviews = con.sql(_REVIEWS_SQL, params={"as_of": as_of}).to_arrow_table()
    for name in (*relations, "questions"):
        con.unregister(name)
    return reviews.cast(to_arrow_schema(identity.identity_reviews))


def _list_rejected_decisions(decisions: Decisions) -> Iterable[ReviewCandidate]:
    for pairs, cannot_link in ((decisions.against_auth, "AUTH_USER_ID"), (decisions.against_never, "NEVER")):
        for one, other in zip(*(nodes.tolist() for nodes in split_pair_key(pairs)), strict=True):
            yield ReviewCandidate(ReviewKind.REJECTED_ALWAYS, one, other, ALWAYS, one, other, cannot_link)


def _find_differing_names(nodes: Nodes, links: Links) -> Iterable[ReviewCandidate]:
    """Links by email, phone or both between records whose first names are present and do not agree."""
    code = nodes.codes["first_name"]
    record = np.flatnonzero(np.isin(links.rule, (EMAIL_AND_PHONE, EMAIL, PHONE)))
    partner = links.to[record]
    differ = (code[record] >= 0) & (code[partner] >= 0) & (code[record] != code[partner])
    record, partner = record[differ], partner[differ]
    names = nodes.first_names.to_pylist() if len(record) else []
    for one, other in zip(np.minimum(record, partner).tolist(), np.maximum(record, partner).tolist(), strict=True):
        if not are_names_compatible(names[code[one]], names[code[other]]):
            yield ReviewCandidate(
                ReviewKind.NAMES_DIFFER, one, other, int(links.rule[one if links.to[one] == other else other])
            )


def _build_candidate_table(nodes: Nodes, doubts: list[ReviewCandidate]) -> pa.Table:
    kind, first, second, rule, witness_first, witness_second, cannot_link = (
        zip(*doubts, strict=True) if doubts else ((),) * len(ReviewCandidate._fields)
    )
    keys = [nodes.keys(np.array(side, np.int64)) for side in (first, second, witness_first, witness_second)]
    columns = {"tenant_id": keys[0]["tenant_id"], "kind": pa.array([str(k) for k in kind], pa.string())}
    columns |= {"rule": pa.array([str(RULES[r]) for r in rule], pa.string())}
    columns |= {"confidence": pa.array(RULE_CONFIDENCE[np.array(rule, np.int64)])}
    columns |= {"cannot_link": pa.array(cannot_link, pa.string())}
    for prefix, one, other in (("", keys[0], keys[1]), ("witness_", keys[2], keys[3])):
        for side, key in (("a", one), ("b", other)):
            columns |= {f"{prefix}service_{side}": key["service"], f"{prefix}record_id_{side}": key["record_id"]}
    return pa.table(columns)


def _list_sharing_records(nodes: Nodes, findings: ReviewInputs) -> pa.Table:
    """Every record that carries a shared value nobody has decided about."""
    tables = []
    for kind in MATCH_KEY_COLUMNS:
        carriers = findings.usable[kind].shared
        is_open = ~carriers.is_suppressed
        if kind == AUTH_USER_ID:
            is_open &= ~_has_decided_auth(nodes, findings.decisions, carriers.node)
        node = carriers.node[is_open]
        keys = nodes.keys(node).append_column("node", pa.array(node)).append_column("kind", pa.repeat(kind, len(node)))
        tables.append(keys.append_column("value", carriers.value.filter(pa.array(is_open))))
    return pa.concat_tables(tables)


def _has_decided_auth(nodes: Nodes, decisions: Decisions, some: Int32Array) -> BoolArray:
    """Whether an operator of the tenant decided about two records that have the auth_user_id of the given ones."""
    one, other = split_pair_key(np.concatenate(decisions))
    auth = (nodes.tenant.astype(np.int64) << 32) | nodes.codes["auth_user_id"]
    return np.isin(auth[some], auth[one[auth[one] == auth[other]]])
