"""Who is who: every record of a set of tenants in one profile, with the evidence, the questions and the id history.

Belongs here: the contract with the caller and the order of the steps. Does not belong here: how a step works (see the
modules it calls), reading or storing tables, and choosing the values a profile shows (`golden_record.py`).
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from datetime import datetime
from itertools import accumulate, pairwise
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from crm_pipeline.domain.batches import split_into_batches
from crm_pipeline.domain.identity.clustering import find_clusters
from crm_pipeline.domain.identity.link_tree import Links, build_link_tree
from crm_pipeline.domain.identity.match_keys import EMAIL, PHONE, MatchKeys, find_match_keys
from crm_pipeline.domain.identity.match_rules import RULE_CONFIDENCE, RULES, find_matching_pairs
from crm_pipeline.domain.identity.nodes import Int32Array, Nodes, as_text, read_nodes
from crm_pipeline.domain.identity.overrides import read_decisions
from crm_pipeline.domain.identity.profile_id_events import RunStamp, build_profile_events
from crm_pipeline.domain.identity.profile_ids import ProfileIds, assign_profile_ids, build_profile_id_rows
from crm_pipeline.domain.identity.reviews import ReviewInputs, build_identity_reviews
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.projections import to_arrow_schema

_EXCLUDED_COLUMNS: Final = {"is_primary", "email_is_shared", "phone_is_shared"}
IDENTITIES_SCHEMA: Final[pa.Schema] = pa.schema(
    [field for field in to_arrow_schema(identity.customer_identities) if field.name not in _EXCLUDED_COLUMNS]
)
"""The declared columns of `customer_identities` that `Resolution.customer_identities` has."""


_PARALLEL_BATCHES: Final = 2
"""Groups resolved side by side: most of the time goes into sorting and joining, which hold no lock of Python's."""
_RECORDS_PER_BATCH: Final = 200_000
"""Where tenants are cut into groups: what is worked with, beyond what is kept, is then in memory for two groups."""


@dataclass(frozen=True)
class ResolutionInputs:
    """Everything identity resolution looks at. Rows of tenants that `tenants` does not list are left aside.

    Attributes:
        records: one row per record: tenant_id, service, record_id, auth_user_id (trimmed), email, phone_number (both
            normalised), first_name, last_name (comparable form), all text and in any order; null where there is none.
        tenants: tenant_id, min_confidence (a fraction in (0, 1], never null): the tenants to resolve.
        suppressed: tenant_id, kind (EMAIL or PHONE), value (normalised as in `records`).
        overrides: tenant_id, service_a, record_id_a, service_b, record_id_b, decision (ALWAYS or NEVER).
        previous_identities: rows of `customer_identities` as last stored.
        previous_ids: rows of `profile_ids` as last stored.
        previous_reviews: rows of `identity_reviews` as last stored, open and closed.
        as_of: the time written to events and reviews, with a zone.
        run_id: the run written to events.
    """

    records: pa.Table
    tenants: pa.Table
    suppressed: pa.Table
    overrides: pa.Table
    previous_identities: pa.Table
    previous_ids: pa.Table
    previous_reviews: pa.Table
    as_of: datetime
    run_id: str


@dataclass(frozen=True)
class Resolution:
    """What identity resolution found, in the declared shapes and sorted by tenant.

    Attributes:
        customer_identities: one row per record, without `is_primary`, which depends on more than identity, and without
            the two columns of `shared_values`.
        profile_ids: every id ever made for the tenants.
        profile_events: the events of this run alone.
        identity_reviews: every question ever asked about the tenants, open and closed.
        shared_values: tenant_id, service, record_id, email_is_shared, phone_is_shared: one row per record; false
            where the record has no such value.
    """

    customer_identities: pa.Table
    profile_ids: pa.Table
    profile_events: pa.Table
    identity_reviews: pa.Table
    shared_values: pa.Table


def resolve_identities(con: duckdb.DuckDBPyConnection, inputs: ResolutionInputs) -> Resolution:
    """Resolve the identities of `inputs.tenants`.

    The order of rows never matters, and no tenant's rows influence another's. `con` is used for sorting and joining
    only: nothing stays on it.

    Raises:
        ValueError: two records have one key, a service, kind or decision is unknown, or `as_of` has no zone.
    """
    if inputs.as_of.tzinfo is None:
        raise ValueError("as_of has no zone: pass an aware datetime")
    groups = _split_tenant_batches(inputs)
    with ExitStack() as own, ThreadPoolExecutor(max_workers=_PARALLEL_BATCHES) as pool:
        cursors = [own.enter_context(con.cursor()) for _ in groups]
        parts = list(pool.map(_resolve_batch, cursors, [replace(inputs, tenants=group) for group in groups]))
    return Resolution(*(pa.concat_tables(getattr(part, each.name) for part in parts) for each in fields(Resolution)))


def _split_tenant_batches(inputs: ResolutionInputs) -> list[pa.Table]:
    """The tenants in order, cut between two wherever there are enough records for a group."""
    tenants, counted = inputs.tenants.sort_by("tenant_id"), as_text(inputs.records, "tenant_id").value_counts()
    records = dict(zip(*(counted.field(name).to_pylist() for name in ("values", "counts")), strict=True))
    groups = split_into_batches(as_text(tenants, "tenant_id").to_pylist(), records, _RECORDS_PER_BATCH)
    places = accumulate(map(len, groups), initial=0)
    return [tenants.slice(start, end - start) for start, end in pairwise(places)] or [tenants]


def _resolve_batch(con: duckdb.DuckDBPyConnection, inputs: ResolutionInputs) -> Resolution:
    con.execute("set TimeZone='UTC'")
    nodes, values = read_nodes(inputs.records, inputs.tenants)
    usable = find_match_keys(nodes, values, inputs.suppressed)
    del values
    decisions = read_decisions(con, nodes, inputs.overrides)
    clusters = find_clusters(nodes, usable, find_matching_pairs(nodes, usable, decisions), decisions)
    ids = assign_profile_ids(con, nodes, clusters, inputs.previous_ids, inputs.previous_identities)
    links = build_link_tree(clusters.of, ids.anchor, clusters.evidence)
    findings = ReviewInputs(usable, decisions, clusters, links)
    reviews = build_identity_reviews(con, nodes, findings, inputs.previous_reviews, inputs.as_of)
    keys = nodes.keys()
    shared_values = _build_shared_values(keys, usable)
    del findings, usable
    return Resolution(
        _build_customer_identities(keys, nodes, ids, ids.holder[clusters.of], links),
        build_profile_id_rows(nodes, ids),
        build_profile_events(
            con, nodes, clusters, ids, inputs.previous_identities, RunStamp(inputs.as_of, inputs.run_id)
        ),
        reviews,
        shared_values,
    )


def _build_customer_identities(
    keys: pa.Table, nodes: Nodes, ids: ProfileIds, holder: Int32Array, links: Links
) -> pa.Table:
    linked_to = nodes.names(links.to)
    rules = pa.array([str(rule) for rule in RULES])
    return pa.table(
        {
            "tenant_id": keys["tenant_id"],
            "service": keys["service"],
            "service_record_id": keys["record_id"],
            "profile_id": ids.now["profile_id"].take(pa.array(holder)),
            "rule": rules.take(pa.array(links.rule)),
            "confidence": RULE_CONFIDENCE[links.rule],
            "linked_to_service": linked_to["service"],
            "linked_to_record_id": linked_to["record_id"],
        },
        schema=IDENTITIES_SCHEMA,
    )


def _build_shared_values(keys: pa.Table, usable: dict[str, MatchKeys]) -> pa.Table:
    table = keys
    for kind, column in ((EMAIL, "email_is_shared"), (PHONE, "phone_is_shared")):
        is_shared = np.zeros(len(keys), bool)
        is_shared[usable[kind].shared.node] = True
        table = table.append_column(column, pa.array(is_shared))
    return table
