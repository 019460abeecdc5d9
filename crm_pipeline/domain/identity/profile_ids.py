"""Stable profile ids: the id of each cluster, its anchor record, generation and redirects, from run to run.

An id is where its anchor record is, so a former partition of the same records gets its former ids back.
A live id moves to another anchor when its record is gone. An id that redirects has no cluster to move in: it keeps
following its target until its record returns.
"""

from pathlib import Path
from typing import Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.domain.identity.clustering import Clusters
from crm_pipeline.domain.identity.nodes import BoolArray, Int32Array, Int64Array, Nodes, as_text, find_nodes
from crm_pipeline.domain.table_queries import query_tables
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.projections import to_arrow_schema

PROFILE_ID_NAMESPACE: Final = uuid5(NAMESPACE_URL, "crm-pipeline/profile-ids")
_NEW_IDS_SQL: Final = Path(__file__).with_name("new_profile_ids.sql").read_text(encoding="utf-8")
_FORMER_MEMBERS_SQL: Final = """
    select tenant_id, service, service_record_id as record_id, position
    from previous_identities join orphaned_ids using (profile_id)"""
_SCHEMA: Final = to_arrow_schema(identity.profile_ids)
_RECORD_KEY: Final = ("tenant_id", "service", "record_id")
_MISSING: Final = -1
_SHA1_LENGTH, _UUID_LENGTH = 40, 36
_UUID_SLICES: Final = ((0, 8, 0), (8, 12, 9), (12, 16, 14), (16, 20, 19), (20, 32, 24))
"""Start and end of each part of a UUID in the hash, and its start in the UUID."""
_VARIANT_DIGITS: Final = np.zeros(128, np.uint8)
_VARIANT_DIGITS[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.frombuffer(b"89ab" * 4, np.uint8)


class ProfileIds(NamedTuple):
    """Every id of the tenants: those of previous runs, sorted by tenant and birth order, then the new ones.

    Attributes:
        previous: profile_ids rows before this run.
        current: profile_ids rows after this run, in the same order, new ones last.
        target: the row of the live id each id stands for: its own where live, -1 where retired, (k,).
        holder: the row of each cluster's id, (c,).
        anchor: the anchor record of each cluster, (c,).
    """

    previous: pa.Table
    current: pa.Table
    target: Int32Array
    holder: Int32Array
    anchor: Int32Array


def assign_profile_ids(
    con: duckdb.DuckDBPyConnection,
    nodes: Nodes,
    clusters: Clusters,
    previous_ids: pa.Table,
    previous_identities: pa.Table,
) -> ProfileIds:
    """Returns the id of every cluster, and the live id that every other id redirects to."""
    previous = sort_by_birth_order(nodes, previous_ids)
    was_live = previous["is_live"].to_numpy()
    anchor = find_nodes(
        con, nodes, previous.select(["tenant_id", "anchor_service", "anchor_record_id"]).rename_columns(_RECORD_KEY)
    )
    orphaned = was_live & (anchor == _MISSING)
    anchor[orphaned] = _find_largest_fragments(con, nodes, clusters, previous.filter(orphaned), previous_identities)
    holder = np.full(len(clusters.first), _MISSING, np.int32)
    placed = np.flatnonzero(anchor != _MISSING)
    holder[clusters.of[anchor[placed[::-1]]]] = placed[::-1]
    unassigned = np.flatnonzero(holder == _MISSING)
    holder[unassigned] = len(previous) + np.arange(len(unassigned))
    new = _create_profile_ids(con, nodes, clusters.first[unassigned], previous)
    target = np.concatenate([_find_target_rows(previous, anchor, holder, clusters), holder[unassigned]])
    current = _build_id_table(pa.concat_tables([_move_anchors(nodes, previous, anchor, orphaned), new]), target)
    anchor = np.concatenate([anchor, clusters.first[unassigned]])[holder]
    return ProfileIds(previous, current, target, holder, anchor)


def sort_by_birth_order(nodes: Nodes, ids: pa.Table) -> pa.Table:
    """Returns the rows of `profile_ids` of the tenants, oldest first within each."""
    ids = ids.select(_SCHEMA.names).cast(_SCHEMA)
    tenant = pc.index_in(as_text(ids, "tenant_id"), nodes.tenant_ids)
    if tenant.null_count:
        ids, tenant = ids.filter(tenant.is_valid()), tenant.drop_null()
    birth_key = (tenant.to_numpy().astype(np.int64) << 32) | ids["birth_order"].to_numpy()
    is_sorted = bool((np.diff(birth_key) > 0).all())
    return ids if is_sorted else ids.take(pa.array(np.argsort(birth_key)))


def _find_largest_fragments(
    con: duckdb.DuckDBPyConnection, nodes: Nodes, clusters: Clusters, ids: pa.Table, previous_identities: pa.Table
) -> Int32Array:
    """Returns per id the first record of the largest fragment of its last cluster; of equal fragments, of the first."""
    anchor = np.full(len(ids), _MISSING, np.int32)
    if not len(ids):
        return anchor
    node, id_ = _find_former_members(con, nodes, ids, previous_identities)
    order = np.lexsort((node, id_))
    node, id_ = node[order], id_[order]
    _, fragment, size = np.unique((id_ << 32) | clusters.of[node], return_index=True, return_counts=True)
    first = node[fragment]
    best = np.lexsort((first, -size, id_[fragment]))
    winner = best[np.flatnonzero(np.diff(id_[fragment][best], prepend=_MISSING))]
    anchor[id_[fragment][winner]] = first[winner]
    return anchor


def _find_former_members(
    con: duckdb.DuckDBPyConnection, nodes: Nodes, ids: pa.Table, previous_identities: pa.Table
) -> tuple[Int64Array, Int64Array]:
    """Returns the nodes that remain of the last cluster of each id, and the row of that id in `ids`."""
    orphaned_ids = pa.table({"profile_id": ids["profile_id"], "position": np.arange(len(ids))})
    tables = {"orphaned_ids": orphaned_ids, "previous_identities": previous_identities}
    members = query_tables(con, _FORMER_MEMBERS_SQL, tables)
    node, id_ = find_nodes(con, nodes, members.select(_RECORD_KEY)), members["position"].to_numpy()
    return node[node != _MISSING], id_[node != _MISSING]


def _create_profile_ids(
    con: duckdb.DuckDBPyConnection, nodes: Nodes, anchor: Int32Array, previous: pa.Table
) -> pa.Table:
    """Returns new profile_ids rows, one per anchor; `anchor` is sorted, which gives the birth order."""
    keys = nodes.select_keys(anchor)
    new_anchors = keys.append_column("position", pa.array(np.arange(len(anchor))))
    tables = {"new_anchors": new_anchors, "previous_ids": previous}
    created = query_tables(con, _NEW_IDS_SQL, tables, {"namespace": PROFILE_ID_NAMESPACE.hex})
    return pa.table(
        {
            "tenant_id": keys["tenant_id"],
            "profile_id": _format_uuids(as_text(created, "hash")),
            "birth_order": _assign_birth_order(nodes, anchor, previous),
            "minted_service": keys["service"],
            "minted_record_id": keys["record_id"],
            "generation": created["generation"],
            "anchor_service": keys["service"],
            "anchor_record_id": keys["record_id"],
            "redirects_to": pa.nulls(len(anchor), pa.string()),
            "is_live": np.ones(len(anchor), bool),
        },
        schema=_SCHEMA,
    )


def _format_uuids(hashes: pa.StringArray) -> pa.StringArray:
    """Returns SHA-1 hashes as UUIDs of version 5, in a tenth of the time that slicing and joining takes in SQL."""
    count = len(hashes)
    digits = np.frombuffer(hashes.buffers()[2] or b"", np.uint8)[_SHA1_LENGTH * hashes.offset :][: _SHA1_LENGTH * count]
    digits, text = digits.reshape(count, _SHA1_LENGTH), np.full((count, _UUID_LENGTH), ord("-"), np.uint8)
    for start, end, to in _UUID_SLICES:
        text[:, to : to + end - start] = digits[:, start:end]
    text[:, 14] = ord("5")
    text[:, 19] = _VARIANT_DIGITS[digits[:, 16]]
    ends = np.arange(0, _UUID_LENGTH * (count + 1), _UUID_LENGTH, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(text))


def _assign_birth_order(nodes: Nodes, anchor: Int32Array, previous: pa.Table) -> Int64Array:
    """Returns birth orders that continue from the highest of the tenant."""
    next_order = np.zeros(len(nodes.tenant_ids), np.int64)
    previous_tenant = pc.index_in(as_text(previous, "tenant_id"), nodes.tenant_ids).to_numpy()
    np.maximum.at(next_order, previous_tenant, previous["birth_order"].to_numpy() + 1)
    tenant = nodes.tenant[anchor]
    starts = np.searchsorted(tenant, np.arange(len(next_order)))
    birth_order: Int64Array = next_order[tenant] + np.arange(len(anchor)) - starts[tenant]
    return birth_order


def _find_target_rows(previous: pa.Table, anchor: Int32Array, holder: Int32Array, clusters: Clusters) -> Int32Array:
    """Returns the row each previous id leads to; one that redirected and lost its record follows its former target."""
    target = np.full(len(previous), _MISSING, np.int32)
    placed = anchor != _MISSING
    target[placed] = holder[clusters.of[anchor[placed]]]
    dependents = np.flatnonzero(~placed & previous["redirects_to"].is_valid().to_numpy())
    if len(dependents):
        target_position = pc.index_in(
            as_text(previous, "redirects_to").take(pa.array(dependents)), as_text(previous, "profile_id")
        )
        target[dependents] = np.where(
            target_position.is_valid(), target[target_position.fill_null(0).to_numpy()], _MISSING
        )
    return target


def _move_anchors(nodes: Nodes, previous: pa.Table, anchor: Int32Array, orphaned: BoolArray) -> pa.Table:
    """Returns the previous ids with the anchors they moved to."""
    moved = orphaned & (anchor != _MISSING)
    if not moved.any():
        return previous
    keys, mask = nodes.select_keys(np.where(moved, anchor, _MISSING)), pa.array(moved)
    for column, key in (("anchor_service", "service"), ("anchor_record_id", "record_id")):
        values = pc.if_else(mask, keys[key], previous[column])
        previous = previous.set_column(_SCHEMA.get_field_index(column), _SCHEMA.field(column), values)
    return previous


def _build_id_table(ids: pa.Table, target: Int32Array) -> pa.Table:
    is_live = target == np.arange(len(target))
    redirects = as_text(ids, "profile_id").take(pa.array(target, mask=is_live | (target == _MISSING)))
    columns = {name: ids[name] for name in ids.column_names} | {"redirects_to": redirects, "is_live": is_live}
    return pa.table(columns, schema=_SCHEMA)
