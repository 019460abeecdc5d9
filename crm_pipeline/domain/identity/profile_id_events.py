"""The life of every profile id: what this run did to it.

Belongs here: telling transitions from the ids before and after. Does not belong here: deciding them (`profile_ids.py`).
Reasons name records, never people.
"""

from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.domain.identity.clustering import Clusters
from crm_pipeline.domain.identity.nodes import BoolArray, Nodes, as_text
from crm_pipeline.domain.identity.profile_ids import ProfileIds
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.projections import to_arrow_schema
from crm_pipeline.vocabulary import ProfileEventType

_SCHEMA: Final = to_arrow_schema(identity.profile_events)
_TRANSITION_COLUMNS: Final = ("tenant_id", "profile_id", "redirects_to", "anchor_service", "anchor_record_id")
_EVENT_IDS_SQL: Final = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
_SPLITS_SQL: Final = """
    select distinct tenant_id, p.profile_id, $event::varchar as event_type, s.other_profile_id,
        $before::varchar || s.anchor || $after::varchar as reason
    from previous_identities p join separated s using (tenant_id, service, service_record_id)
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
    """The run that saw what happened, and when."""

    as_of: datetime
    run_id: str


def build_profile_events(
    con: duckdb.DuckDBPyConnection,
    nodes: Nodes,
    clusters: Clusters,
    ids: ProfileIds,
    previous_identities: pa.Table,
    seen_by: RunStamp,
) -> pa.Table:
    """The `profile_events` of this run, each row a transition of an id."""
    row = np.arange(len(ids.now))
    is_live, is_new = ids.target == row, row >= len(ids.known)
    was_live = np.concatenate([ids.known["is_live"].to_numpy(), np.zeros(is_new.sum(), bool)])
    resurrected = is_live & ~was_live & ~is_new
    transitions = pa.concat_tables(
        [
            _build_transitions(ids, ProfileEventType.CREATED, is_new),
            _build_transitions(ids, ProfileEventType.MERGED, _has_new_redirect(ids)),
            _build_transitions(ids, ProfileEventType.RESURRECTED, resurrected),
            _build_transitions(
                ids, ProfileEventType.RETIRED, (ids.target < 0) & (was_live | _has_previous_redirect(ids))
            ),
            _find_splits(con, nodes, clusters, ids, is_new | resurrected, previous_identities),
        ]
    )
    return _build_events(con, _sort_by_tenant(nodes, transitions), seen_by)


def _sort_by_tenant(nodes: Nodes, transitions: pa.Table) -> pa.Table:
    tenant = pc.index_in(as_text(transitions, "tenant_id"), nodes.tenant_ids).to_numpy()
    is_sorted = bool((np.diff(tenant) >= 0).all())
    return transitions if is_sorted else transitions.take(pa.array(np.argsort(tenant, kind="stable")))


def _build_events(con: duckdb.DuckDBPyConnection, transitions: pa.Table, seen_by: RunStamp) -> pa.Table:
    count = len(transitions)
    positioned = transitions.drop(["tenant_id", "reason"]).append_column("position", pa.array(np.arange(count)))
    con.register("transitions", positioned)
    event_id = con.sql(_EVENT_IDS_SQL, params={"as_of": seen_by.as_of}).to_arrow_table()["event_id"]
    con.unregister("transitions")
    columns = {name: transitions[name] for name in transitions.column_names} | {
        "event_id": event_id,
        "occurred_at": pa.repeat(pa.scalar(seen_by.as_of, _SCHEMA.field("occurred_at").type), count),
        "run_id": pa.repeat(seen_by.run_id, count),
    }
    return pa.table(columns, schema=_SCHEMA)


def _build_transitions(ids: ProfileIds, event: ProfileEventType, happened: BoolArray) -> pa.Table:
    rows = ids.now.select(list(_TRANSITION_COLUMNS))
    # In a first run it happened to all, and a copy of every id is much.
    rows = rows if happened.all() else rows.filter(pa.array(happened))
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


def _has_previous_redirect(ids: ProfileIds) -> BoolArray:
    new = len(ids.now) - len(ids.known)
    return np.concatenate([ids.known["redirects_to"].is_valid().to_numpy(), np.zeros(new, bool)])


def _has_new_redirect(ids: ProfileIds) -> BoolArray:
    """Whether an id redirects, and not to the id it redirected to before."""
    now = ids.now["redirects_to"]
    same = pc.equal(now[: len(ids.known)], ids.known["redirects_to"]).fill_null(False).to_numpy()
    redirects: BoolArray = now.is_valid().to_numpy().copy()
    redirects[: len(ids.known)] &= ~same
    return redirects


def _find_splits(
    con: duckdb.DuckDBPyConnection,
    nodes: Nodes,
    clusters: Clusters,
    ids: ProfileIds,
    separate: BoolArray,
    previous_identities: pa.Table,
) -> pa.Table:
    """For every profile that lost records to an id that is new or live again."""
    node = _find_cluster_nodes(clusters, ids, separate if len(previous_identities) else np.zeros_like(separate))
    leaving = ids.now.select(list(_TRANSITION_COLUMNS)).take(pa.array(ids.holder[clusters.of[node]]))
    keys = nodes.keys(node)
    con.register(
        "separated",
        pa.table(
            {
                "tenant_id": keys["tenant_id"],
                "service": keys["service"],
                "service_record_id": keys["record_id"],
                "other_profile_id": leaving["profile_id"],
                "anchor": _format_anchor(leaving),
            }
        ),
    )
    con.register("previous_identities", previous_identities)
    before, after = _REASONS[ProfileEventType.SPLIT]
    splits = con.sql(_SPLITS_SQL, params={"event": ProfileEventType.SPLIT, "before": before, "after": after})
    result = splits.to_arrow_table()
    con.unregister("separated")
    con.unregister("previous_identities")
    return result


def _find_cluster_nodes(clusters: Clusters, ids: ProfileIds, wanted: BoolArray) -> npt.NDArray[np.intp]:
    """The nodes of the clusters whose ids are wanted."""
    return np.flatnonzero(wanted[ids.holder][clusters.of])
