"""Identity resolution: its inputs, its results and the order of its steps.

Every record of the tenants gets one profile, with links, reviews and the history of ids.
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
from crm_pipeline.domain.identity.profile_ids import ProfileIds, assign_profile_ids, sort_by_birth_order
from crm_pipeline.domain.identity.reviews import ReviewInputs, build_identity_reviews
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.projections import to_arrow_schema

_EXCLUDED_COLUMNS: Final = {"is_primary", "email_is_shared", "phone_is_shared"}
IDENTITIES_SCHEMA: Final[pa.Schema] = pa.schema(
    [field for field in to_arrow_schema(identity.customer_identities) if field.name not in _EXCLUDED_COLUMNS]
)
"""The declared columns of `customer_identities` that `Resolution.customer_identities` has."""
_PARALLEL_BATCHES: Final = 2
"""Tenant batches resolved in parallel: most of the time is sorting and joining, which release Python's lock."""
_RECORDS_PER_BATCH: Final = 200_000
"""Records after which a tenant batch ends: intermediate data is in memory for two batches only."""


@dataclass(frozen=True)
class ResolutionInputs:
    """The inputs of identity resolution. Rows of tenants that are not in `tenants` are ignored.

    Attributes:
        records: one row per record: tenant_id, service, record_id, auth_user_id (trimmed), email, phone_number (both
            normalised), first_name, last_name (comparable form), all text, in any order; null where there is none.
        tenants: tenant_id, min_confidence (a fraction in (0, 1], never null): the tenants to resolve.
        suppressed: tenant_id, kind (EMAIL or PHONE), value (normalised as in `records`).
        overrides: tenant_id, service_a, record_id_a, service_b, record_id_b, decision (ALWAYS or NEVER).
        ineffective_decisions: decisions without effect, with the columns of `ineffective_decisions.sql`; reviews that
            they may be meant for say so.
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
    ineffective_decisions: pa.Table
    previous_identities: pa.Table
    previous_ids: pa.Table
    previous_reviews: pa.Table
    as_of: datetime
    run_id: str


@dataclass(frozen=True)
class Resolution:
    """The results of identity resolution, in the declared shapes and sorted by tenant.

    Attributes:
        customer_identities: one row per record, without `is_primary` (which needs more than identity) and the two
            columns of `shared_values`.
        profile_ids: every id ever created for the tenants.
        profile_events: the events of this run only.
        identity_reviews: every review of the tenants, open and closed.
        shared_values: tenant_id, service, record_id, email_is_shared, phone_is_shared: one row per record; false
            where the record has no such value.
    """

    customer_identities: pa.Table
    profile_ids: pa.Table
    profile_events: pa.Table
    identity_reviews: pa.Table
    shared_values: pa.Table


def resolve_identities(con: duckdb.DuckDBPyConnection, inputs: ResolutionInputs) -> Resolution:
    """Returns the resolved identities of `inputs.tenants`.

    The order of rows does not matter, and no tenant's rows influence another's. `con` only sorts and joins: no relation
    stays on it.

    Raises:
        ValueError: two records have one key, a service, kind or decision is unknown, or `as_of` has no zone.
    """
    if inputs.as_of.tzinfo is None:
        raise ValueError("as_of has no zone: pass an aware datetime")
    batches = _split_tenant_batches(inputs)
    with ExitStack() as exit_stack, ThreadPoolExecutor(max_workers=_PARALLEL_BATCHES) as pool:
        cursors = [exit_stack.enter_context(con.cursor()) for _ in batches]
        resolutions = list(pool.map(_resolve_batch, cursors, [replace(inputs, tenants=batch) for batch in batches]))
    return Resolution(
        *(pa.concat_tables(getattr(resolution, each.name) for resolution in resolutions) for each in fields(Resolution))
    )


def _split_tenant_batches(inputs: ResolutionInputs) -> list[pa.Table]:
    """Returns the sorted tenants in batches, each of about `_RECORDS_PER_BATCH` records or one large tenant."""
    tenants, record_counts = inputs.tenants.sort_by("tenant_id"), as_text(inputs.records, "tenant_id").value_counts()
    records = dict(zip(*(record_counts.field(name).to_pylist() for name in ("values", "counts")), strict=True))
    batches = split_into_batches(as_text(tenants, "tenant_id").to_pylist(), records, _RECORDS_PER_BATCH)
    positions = accumulate(map(len, batches), initial=0)
    return [tenants.slice(start, end - start) for start, end in pairwise(positions)] or [tenants]


def _resolve_batch(con: duckdb.DuckDBPyConnection, inputs: ResolutionInputs) -> Resolution:
    con.execute("set TimeZone='UTC'")
    nodes, values = read_nodes(inputs.records, inputs.tenants)
    keys_by_kind = find_match_keys(nodes, values, inputs.suppressed)
    del values
    decisions = read_decisions(con, nodes, inputs.overrides)
    clusters = find_clusters(nodes, keys_by_kind, find_matching_pairs(nodes, keys_by_kind, decisions), decisions)
    ids = assign_profile_ids(con, nodes, clusters, inputs.previous_ids, inputs.previous_identities)
    links = build_link_tree(clusters.of, ids.anchor, clusters.accepted_pairs)
    review_inputs = ReviewInputs(keys_by_kind, decisions, inputs.ineffective_decisions, clusters, links)
    reviews = build_identity_reviews(con, nodes, review_inputs, inputs.previous_reviews, inputs.as_of)
    keys = nodes.select_keys()
    shared_values = _build_shared_values(keys, keys_by_kind)
    del review_inputs, keys_by_kind
    return Resolution(
        _build_customer_identities(keys, nodes, ids, ids.holder[clusters.of], links),
        sort_by_birth_order(nodes, ids.current),
        build_profile_events(
            con, nodes, clusters, ids, inputs.previous_identities, RunStamp(inputs.as_of, inputs.run_id)
        ),
        reviews,
        shared_values,
    )


def _build_customer_identities(
    keys: pa.Table, nodes: Nodes, ids: ProfileIds, holder: Int32Array, links: Links
) -> pa.Table:
    linked_to = nodes.select_keys(links.to)
    rules = pa.array([str(rule) for rule in RULES])
    return pa.table(
        {
            "tenant_id": keys["tenant_id"],
            "service": keys["service"],
            "service_record_id": keys["record_id"],
            "profile_id": ids.current["profile_id"].take(pa.array(holder)),
            "rule": rules.take(pa.array(links.rule)),
            "confidence": RULE_CONFIDENCE[links.rule],
            "linked_to_service": linked_to["service"],
            "linked_to_record_id": linked_to["record_id"],
        },
        schema=IDENTITIES_SCHEMA,
    )


def _build_shared_values(keys: pa.Table, keys_by_kind: dict[str, MatchKeys]) -> pa.Table:
    table = keys
    for kind, column in ((EMAIL, "email_is_shared"), (PHONE, "phone_is_shared")):
        is_shared = np.zeros(len(keys), bool)
        is_shared[keys_by_kind[kind].sharing.node] = True
        table = table.append_column(column, pa.array(is_shared))
    return table
