"""The events of profile ids: the transitions of every id from the previous run to this one.

Reasons name records, never people.
"""

from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.domain.identity.clustering import Clusters
from crm_pipeline.domain.identity.nodes import BoolArray, Nodes, as_text
from crm_pipeline.domain.identity.profile_ids import ProfileIds
from crm_pipeline.domain.table_queries import query_tables
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.projections import to_arrow_schema
from crm_pipeline.vocabulary import ProfileEventType

_SCHEMA: Final = to_arrow_schema(identity.profile_events)
_TRANSITION_COLUMNS: Final = ("tenant_id", "profile_id", "redirects_to", "anchor_service", "anchor_record_id")
_EVENT_IDS_SQL: Final = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
_SPLITS_SQL: Final = """
    select distinct tenant_id, p.profile_id, $event::varchar as event_type, s.other_profile_id,
        $before::varchar || s.anchor || $after::varchar as reason
    from previous_identities p join separated_records s using (tenant_id, service, service_record_id)
    where p.profile_id <> s.other_profile_id
    order by all"""
_REASONS: Final = {
    ProfileEventType.CREATED: ("", " is the first record of a person no profile stood for"),
    ProfileEventType.MERGED: ("the record it stands for, ", ", belongs to the other profile now, which is older"),
    ProfileEventType.SPLIT: ("the person around ", " turned out to be another one"),
    ProfileEventType.RESURRECTED: ("its anchor ", " makes a profile of its own again"),
    ProfileEventType.RETIRED: ("its anchor ", " and all that was left of its last cluster are gone"),
}


class RunStamp(NamedTuple):
    """The run that wrote an event, and its time."""

    as_of: datetime
    run_id: str


def build_profile_events(
    con: duckdb.DuckDBPyConnection,
    nodes: Nodes,
    clusters: Clusters,
    ids: ProfileIds,
    previous_identities: pa.Table,
    stamp: RunStamp,
) -> pa.Table:
    """Returns the `profile_events` of this run, each row a transition of an id."""
    row = np.arange(len(ids.current))
    is_live, is_new = ids.target == row, row >= len(ids.previous)
    none_new = np.zeros(is_new.sum(), bool)
    was_live = np.concatenate([ids.previous["is_live"].to_numpy(), none_new])
    was_redirect = np.concatenate([ids.previous["redirects_to"].is_valid().to_numpy(), none_new])
    resurrected = is_live & ~was_live & ~is_new
    transitions = pa.concat_tables(
        [
            _build_transitions(ids, ProfileEventType.CREATED, is_new),
            _build_transitions(ids, ProfileEventType.MERGED, _has_new_redirect(ids)),
            _build_transitions(ids, ProfileEventType.RESURRECTED, resurrected),
            _build_transitions(ids, ProfileEventType.RETIRED, (ids.target < 0) & (was_live | was_redirect)),
            _find_splits(con, nodes, clusters, ids, is_new | resurrected, previous_identities),
        ]
    )
    return _build_events(con, _sort_by_tenant(nodes, transitions), stamp)


def _sort_by_tenant(nodes: Nodes, transitions: pa.Table) -> pa.Table:
    tenant = pc.index_in(as_text(transitions, "tenant_id"), nodes.tenant_ids).to_numpy()
    is_sorted = bool((np.diff(tenant) >= 0).all())
    return transitions if is_sorted else transitions.take(pa.array(np.argsort(tenant, kind="stable")))


def _build_events(con: duckdb.DuckDBPyConnection, transitions: pa.Table, stamp: RunStamp) -> pa.Table:
    count = len(transitions)
    positioned = transitions.drop(["tenant_id", "reason"]).append_column("position", pa.array(np.arange(count)))
    event_ids = query_tables(con, _EVENT_IDS_SQL, {"id_transitions": positioned}, {"as_of": stamp.as_of})
    columns = {name: transitions[name] for name in transitions.column_names} | {
        "event_id": event_ids["event_id"],
        "occurred_at": pa.repeat(pa.scalar(stamp.as_of, _SCHEMA.field("occurred_at").type), count),
        "run_id": pa.repeat(stamp.run_id, count),
    }
    return pa.table(columns, schema=_SCHEMA)


def _build_transitions(ids: ProfileIds, event: ProfileEventType, has_event: BoolArray) -> pa.Table:
    rows = ids.current.select(list(_TRANSITION_COLUMNS))
    # In a first run all ids are new; copying all of them takes much memory.
    rows = rows if has_event.all() else rows.filter(pa.array(has_event))
    before, after = _REASONS[event]
    return pa.table(
        {
            "tenant_id": rows["tenant_id"],
            "profile_id": rows["profile_id"],
            "event_type": pa.repeat(str(event), len(rows)),
            "other_profile_id": rows["redirects_to"],
            "reason": pc.binary_join_element_wise(before, _format_anchor(rows), after, ""),
        }
    )


def _format_anchor(rows: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(rows["anchor_service"], rows["anchor_record_id"], " ")


def _has_new_redirect(ids: ProfileIds) -> BoolArray:
    """Whether an id redirects, and not to the id it redirected to before."""
    target_id = ids.current["redirects_to"]
    same = pc.equal(target_id[: len(ids.previous)], ids.previous["redirects_to"]).fill_null(False).to_numpy()
    redirects: BoolArray = target_id.is_valid().to_numpy().copy()
    redirects[: len(ids.previous)] &= ~same
    return redirects


def _find_splits(
    con: duckdb.DuckDBPyConnection,
    nodes: Nodes,
    clusters: Clusters,
    ids: ProfileIds,
    is_separated: BoolArray,
    previous_identities: pa.Table,
) -> pa.Table:
    """Returns a split for every profile that lost records to an id that is new or live again."""
    of_separated = is_separated[ids.holder][clusters.of]
    node = np.flatnonzero(of_separated if len(previous_identities) else np.zeros_like(of_separated))
    new_profiles = ids.current.select(list(_TRANSITION_COLUMNS)).take(pa.array(ids.holder[clusters.of[node]]))
    keys = nodes.select_keys(node)
    separated_records = keys.rename_columns(("tenant_id", "service", "service_record_id"))
    separated_records = separated_records.append_column("other_profile_id", new_profiles["profile_id"])
    separated_records = separated_records.append_column("anchor", _format_anchor(new_profiles))
    before, after = _REASONS[ProfileEventType.SPLIT]
    return query_tables(
        con,
        _SPLITS_SQL,
        {"separated_records": separated_records, "previous_identities": previous_identities},
        {"event": ProfileEventType.SPLIT, "before": before, "after": after},
    )
