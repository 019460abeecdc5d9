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

from crm_pipeline.domain.identity.cannot_link import names_agree
from crm_pipeline.domain.identity.clustering import Clusters, Doubt
from crm_pipeline.domain.identity.link_tree import Links
from crm_pipeline.domain.identity.match_keys import AUTH_USER_ID, COLUMNS, MOST_CARRIERS, Usable
from crm_pipeline.domain.identity.match_rules import ALWAYS, CONFIDENCE, EMAIL, EMAIL_AND_PHONE, PHONE, RULES
from crm_pipeline.domain.identity.nodes import Flags, Ints, Nodes
from crm_pipeline.domain.identity.overrides import Decisions, pair_nodes
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.projections import arrow_schema
from crm_pipeline.vocabulary import ReviewKind

_QUESTIONS_SQL: Final = Path(__file__).with_name("open_reviews.sql").read_text(encoding="utf-8")
_REVIEWS_SQL: Final = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
_SHOWN_CARRIERS: Final = 10


class Findings(NamedTuple):
    """What there is to ask about."""

    usable: dict[str, Usable]
    decisions: Decisions
    clusters: Clusters
    links: Links


def identity_reviews(
    con: duckdb.DuckDBPyConnection, nodes: Nodes, findings: Findings, previous_reviews: pa.Table, as_of: datetime
) -> pa.Table:
    """All rows of `identity_reviews`: what is asked now is open, what no longer is gets closed, and the past stays."""
    doubts = [
        *findings.clusters.doubts,
        *_refused_decisions(findings.decisions),
        *_names_that_differ(nodes, findings.links),
    ]
    relations = {
        "doubtful_pairs": _doubtful_pairs(nodes, doubts),
        "shared_carriers": _shared_carriers(nodes, findings),
        "previous_reviews": previous_reviews,
        "tenants": pa.table({"tenant_id": nodes.tenant_ids}),
    }
    for name, table in relations.items():
        con.register(name, table)
    params = {"most_carriers": MOST_CARRIERS, "shown_carriers": _SHOWN_CARRIERS}
    con.register("questions", con.sql(_QUESTIONS_SQL, params=params).to_arrow_table())
    reviews = con.sql(_REVIEWS_SQL, params={"as_of": as_of}).to_arrow_table()
    for name in (*relations, "questions"):
        con.unregister(name)
    return reviews.cast(arrow_schema(identity.identity_reviews))


def _refused_decisions(decisions: Decisions) -> Iterable[Doubt]:
    for pairs, cannot_link in ((decisions.against_auth, "AUTH_USER_ID"), (decisions.against_never, "NEVER")):
        for one, other in zip(*(nodes.tolist() for nodes in pair_nodes(pairs)), strict=True):
            yield Doubt(ReviewKind.REJECTED_ALWAYS, one, other, ALWAYS, one, other, cannot_link)


def _names_that_differ(nodes: Nodes, links: Links) -> Iterable[Doubt]:
    """Links by email, phone or both between records whose first names are present and do not agree."""
    code = nodes.codes["first_name"]
    record = np.flatnonzero(np.isin(links.rule, (EMAIL_AND_PHONE, EMAIL, PHONE)))
    partner = links.to[record]
    differ = (code[record] >= 0) & (code[partner] >= 0) & (code[record] != code[partner])
    record, partner = record[differ], partner[differ]
    names = nodes.first_names.to_pylist() if len(record) else []
    for one, other in zip(np.minimum(record, partner).tolist(), np.maximum(record, partner).tolist(), strict=True):
        if not names_agree(names[code[one]], names[code[other]]):
            yield Doubt(ReviewKind.NAMES_DIFFER, one, other, int(links.rule[one if links.to[one] == other else other]))


def _doubtful_pairs(nodes: Nodes, doubts: list[Doubt]) -> pa.Table:
    kind, first, second, rule, witness_first, witness_second, cannot_link = (
        zip(*doubts, strict=True) if doubts else ((),) * len(Doubt._fields)
    )
    keys = [nodes.keys(np.array(side, np.int64)) for side in (first, second, witness_first, witness_second)]
    columns = {"tenant_id": keys[0]["tenant_id"], "kind": pa.array([str(k) for k in kind], pa.string())}
    columns |= {"rule": pa.array([str(RULES[r]) for r in rule], pa.string())}
    columns |= {"confidence": pa.array(CONFIDENCE[np.array(rule, np.int64)])}
    columns |= {"cannot_link": pa.array(cannot_link, pa.string())}
    for prefix, one, other in (("", keys[0], keys[1]), ("witness_", keys[2], keys[3])):
        for side, key in (("a", one), ("b", other)):
            columns |= {f"{prefix}service_{side}": key["service"], f"{prefix}record_id_{side}": key["record_id"]}
    return pa.table(columns)


def _shared_carriers(nodes: Nodes, findings: Findings) -> pa.Table:
    """Every record that carries a shared value nobody has decided about."""
    tables = []
    for kind in COLUMNS:
        carriers = findings.usable[kind].shared
        is_open = ~carriers.is_suppressed
        if kind == AUTH_USER_ID:
            is_open &= ~_has_decided_auth(nodes, findings.decisions, carriers.node)
        node = carriers.node[is_open]
        keys = nodes.keys(node).append_column("node", pa.array(node)).append_column("kind", pa.repeat(kind, len(node)))
        tables.append(keys.append_column("value", carriers.value.filter(pa.array(is_open))))
    return pa.concat_tables(tables)


def _has_decided_auth(nodes: Nodes, decisions: Decisions, some: Ints) -> Flags:
    """Whether an operator of the tenant decided about two records that have the auth_user_id of the given ones."""
    one, other = pair_nodes(np.concatenate(decisions))
    auth = (nodes.tenant.astype(np.int64) << 32) | nodes.codes["auth_user_id"]
    return np.isin(auth[some], auth[one[auth[one] == auth[other]]])
