"""Profile ids: which id each cluster has, across runs.

Belongs here: anchors, births, generations and redirects. Does not belong here: the log of what happened to an id
(`profile_events.py`), or who is one person (`clusters.py`).

An id belongs where its anchor record is, so any partition of the same records that comes back has its ids back. Only an
id that was live moves to another anchor, when its record is gone: one that redirects has no cluster of its own to move
in. It goes on following its target, and is itself again should its record return.
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
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.projections import to_arrow_schema

PROFILE_ID_NAMESPACE: Final = uuid5(NAMESPACE_URL, "crm-pipeline/profile-ids")
_NEW_IDS_SQL: Final = Path(__file__).with_name("new_profile_ids.sql").read_text(encoding="utf-8")
_SCHEMA: Final = to_arrow_schema(identity.profile_ids)
_RECORD_KEY: Final = ("tenant_id", "service", "record_id")
_MISSING: Final = -1
_SHA1_LENGTH, _UUID_LENGTH = 40, 36
_UUID_SLICES: Final = ((0, 8, 0), (8, 12, 9), (12, 16, 14), (16, 20, 19), (20, 32, 24))
"""Where each part of a UUID comes from in the hash, and where it goes."""
_VARIANT_DIGITS: Final = np.zeros(128, np.uint8)
_VARIANT_DIGITS[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.frombuffer(b"89ab" * 4, np.uint8)


class ProfileIds(NamedTuple):
    """Every id of the tenants: `known` ones, sorted by tenant and birth, then the new ones.

    Attributes:
        known: profile_ids rows as they were before this run.
        now: profile_ids rows as they are, in the same order, new ones last.
        target: the row of the live id each id stands for: its own where live, -1 where retired, (k,).
        holder: the row of each cluster's id, (c,).
        anchor: the anchor record of each cluster, (c,).
    """

    known: pa.Table
    now: pa.Table
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
    """The id of every cluster, and where every other id now leads."""
    known = _sort_by_birth_order(nodes, previous_ids)
    was_live = known["is_live"].to_numpy()
    anchor = find_nodes(
        con, nodes, known.select(["tenant_id", "anchor_service", "anchor_record_id"]).rename_columns(_RECORD_KEY)
    )
    homeless = was_live & (anchor == _MISSING)
    anchor[homeless] = _find_largest_fragments(con, nodes, clusters, known.filter(homeless), previous_identities)
    holder = np.full(len(clusters.first), _MISSING, np.int32)
    placed = np.flatnonzero(anchor != _MISSING)
    holder[clusters.of[anchor[placed[::-1]]]] = placed[::-1]
    nameless = np.flatnonzero(holder == _MISSING)
    holder[nameless] = len(known) + np.arange(len(nameless))
    new = _create_profile_ids(con, nodes, clusters.first[nameless], known)
    target = np.concatenate([_find_target_rows(known, anchor, holder, clusters), holder[nameless]])
    now = _build_id_table(pa.concat_tables([_move_anchors(nodes, known, anchor, homeless), new]), target)
    anchor = np.concatenate([anchor, clusters.first[nameless]])[holder]
    return ProfileIds(known, now, target, holder, anchor)


def build_profile_id_rows(nodes: Nodes, ids: ProfileIds) -> pa.Table:
    """The rows of `profile_ids`, sorted by tenant and birth."""
    return _sort_by_birth_order(nodes, ids.now)


def _sort_by_birth_order(nodes: Nodes, ids: pa.Table) -> pa.Table:
    """The ids of the tenants, oldest first within each."""
    ids = ids.select(_SCHEMA.names).cast(_SCHEMA)
    tenant = pc.index_in(as_text(ids, "tenant_id"), nodes.tenant_ids)
    if tenant.null_count:
        ids, tenant = ids.filter(tenant.is_valid()), tenant.drop_null()
    birth = (tenant.to_numpy().astype(np.int64) << 32) | ids["birth_order"].to_numpy()
    is_sorted = bool((np.diff(birth) > 0).all())
    return ids if is_sorted else ids.take(pa.array(np.argsort(birth)))


def _find_largest_fragments(
    con: duckdb.DuckDBPyConnection, nodes: Nodes, clusters: Clusters, ids: pa.Table, previous_identities: pa.Table
) -> Int32Array:
    """Per id the first record of the largest part of what is left of its last cluster; of equal parts, of the first."""
    anchor = np.full(len(ids), _MISSING, np.int32)
    if not len(ids):
        return anchor
    con.register("homeless_ids", pa.table({"profile_id": ids["profile_id"], "position": np.arange(len(ids))}))
    con.register("previous_identities", previous_identities)
    members = con.sql(
        "select tenant_id, service, service_record_id as record_id, position"
        " from previous_identities join homeless_ids using (profile_id)"
    ).to_arrow_table()
    con.unregister("homeless_ids")
    con.unregister("previous_identities")
    node, id_ = find_nodes(con, nodes, members.select(_RECORD_KEY)), members["position"].to_numpy()
    node, id_ = node[node != _MISSING], id_[node != _MISSING]
    order = np.lexsort((node, id_))
    node, id_ = node[order], id_[order]
    _, fragment, size = np.unique((id_ << 32) | clusters.of[node], return_index=True, return_counts=True)
    first = node[fragment]
    best = np.lexsort((first, -size, id_[fragment]))
    winner = best[np.flatnonzero(np.diff(id_[fragment][best], prepend=_MISSING))]
    anchor[id_[fragment][winner]] = first[winner]
    return anchor


def _create_profile_ids(con: duckdb.DuckDBPyConnection, nodes: Nodes, anchor: Int32Array, known: pa.Table) -> pa.Table:
    """New profile_ids rows, one per anchor; `anchor` is sorted, and that is the order of birth."""
    keys = nodes.keys(anchor)
    con.register("new_anchors", keys.append_column("position", pa.array(np.arange(len(anchor)))))
    con.register("known_ids", known)
    minted = con.sql(_NEW_IDS_SQL, params={"namespace": PROFILE_ID_NAMESPACE.hex}).to_arrow_table()
    con.unregister("new_anchors")
    con.unregister("known_ids")
    return pa.table(
        {
            "tenant_id": keys["tenant_id"],
            "profile_id": _format_uuids(as_text(minted, "hash")),
            "birth_order": _assign_birth_order(nodes, anchor, known),
            "minted_service": keys["service"],
            "minted_record_id": keys["record_id"],
            "generation": minted["generation"],
            "anchor_service": keys["service"],
            "anchor_record_id": keys["record_id"],
            "redirects_to": pa.nulls(len(anchor), pa.string()),
            "is_live": np.ones(len(anchor), bool),
        },
        schema=_SCHEMA,
    )


def _format_uuids(hashes: pa.StringArray) -> pa.StringArray:
    """SHA-1 hashes as UUIDs of version 5: a tenth of the time of cutting and joining texts in SQL."""
    count = len(hashes)
    digits = np.frombuffer(hashes.buffers()[2] or b"", np.uint8)[_SHA1_LENGTH * hashes.offset :][: _SHA1_LENGTH * count]
    digits, text = digits.reshape(count, _SHA1_LENGTH), np.full((count, _UUID_LENGTH), ord("-"), np.uint8)
    for start, end, to in _UUID_SLICES:
        text[:, to : to + end - start] = digits[:, start:end]
    text[:, 14] = ord("5")
    text[:, 19] = _VARIANT_DIGITS[digits[:, 16]]
    ends = np.arange(0, _UUID_LENGTH * (count + 1), _UUID_LENGTH, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(text))


def _assign_birth_order(nodes: Nodes, anchor: Int32Array, known: pa.Table) -> Int64Array:
    """One more than the last birth of the tenant, counting on from there."""
    next_birth = np.zeros(len(nodes.tenant_ids), np.int64)
    known_tenant = pc.index_in(as_text(known, "tenant_id"), nodes.tenant_ids).to_numpy()
    np.maximum.at(next_birth, known_tenant, known["birth_order"].to_numpy() + 1)
    tenant = nodes.tenant[anchor]
    starts = np.searchsorted(tenant, np.arange(len(next_birth)))
    births: Int64Array = next_birth[tenant] + np.arange(len(anchor)) - starts[tenant]
    return births


def _find_target_rows(known: pa.Table, anchor: Int32Array, holder: Int32Array, clusters: Clusters) -> Int32Array:
    """The row each known id leads to. One that redirected and whose record is gone follows the id it redirected to."""
    target = np.full(len(known), _MISSING, np.int32)
    placed = anchor != _MISSING
    target[placed] = holder[clusters.of[anchor[placed]]]
    followers = np.flatnonzero(~placed & known["redirects_to"].is_valid().to_numpy())
    if len(followers):
        followed = pc.index_in(as_text(known, "redirects_to").take(pa.array(followers)), as_text(known, "profile_id"))
        target[followers] = np.where(followed.is_valid(), target[followed.fill_null(0).to_numpy()], _MISSING)
    return target


def _move_anchors(nodes: Nodes, known: pa.Table, anchor: Int32Array, homeless: BoolArray) -> pa.Table:
    """The known ids with the anchors they moved to."""
    moved = homeless & (anchor != _MISSING)
    if not moved.any():
        return known
    keys, mask = nodes.keys(np.where(moved, anchor, _MISSING)), pa.array(moved)
    for column, key in (("anchor_service", "service"), ("anchor_record_id", "record_id")):
        values = pc.if_else(mask, keys[key], known[column])
        known = known.set_column(_SCHEMA.get_field_index(column), _SCHEMA.field(column), values)
    return known


def _build_id_table(ids: pa.Table, target: Int32Array) -> pa.Table:
    is_live = target == np.arange(len(target))
    redirects = as_text(ids, "profile_id").take(pa.array(target, mask=is_live | (target == _MISSING)))
    columns = {name: ids[name] for name in ids.column_names} | {"redirects_to": redirects, "is_live": is_live}
    return pa.table(columns, schema=_SCHEMA)
