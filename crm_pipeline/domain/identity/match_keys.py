"""Match keys: the values that few enough records have and no operator suppressed; all others are shared values."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.domain.identity.nodes import SERVICES, BoolArray, Int8Array, Int32Array, Int64Array, Nodes, as_text

MAX_SHARING_RECORDS: Final = 3
AUTH_USER_ID, EMAIL, PHONE = "AUTH_USER_ID", "EMAIL", "PHONE"
MATCH_KEY_COLUMNS: Final = {AUTH_USER_ID: "auth_user_id", EMAIL: "email", PHONE: "phone_number"}


class SharingRecords(NamedTuple):
    """The records with a shared value, which is no match key, and the value."""

    node: Int32Array
    value: pa.StringArray
    is_suppressed: BoolArray


class MatchKeys(NamedTuple):
    """The values of one kind that are match keys.

    Attributes:
        code: per node, -1 where its value is no match key or it has none, (n,).
        node: the nodes that have a match key in common with another node, sorted by value, (m,).
        value: tenant and code as one number, (m,).
        sharing: the records whose value is no match key.
    """

    code: Int32Array
    node: Int32Array
    value: Int64Array
    sharing: SharingRecords


def find_match_keys(nodes: Nodes, values: dict[str, pa.StringArray], suppressed: pa.Table) -> dict[str, MatchKeys]:
    """Returns the match keys per kind (AUTH_USER_ID, EMAIL, PHONE); they do not depend on `min_confidence`.

    Args:
        nodes: all records.
        values: per kind of value, the text each code stands for.
        suppressed: tenant_id, kind and value of the suppressed identifiers.

    Raises:
        ValueError: a suppressed identifier is neither an EMAIL nor a PHONE.
    """
    unknown = set(suppressed["kind"].to_pylist()) - {EMAIL, PHONE}
    if unknown:
        raise ValueError(f"unknown kind of suppressed identifier {sorted(unknown)}: expected {EMAIL} or {PHONE}")
    keys_by_kind = {}
    for kind, column in MATCH_KEY_COLUMNS.items():
        of_kind = suppressed.filter(pc.equal(suppressed["kind"], kind))
        keys_by_kind[kind] = _build_match_keys(
            nodes, nodes.codes[column], values[column], _find_suppressed_values(nodes, values[column], of_kind)
        )
    return keys_by_kind


def is_among(keys: npt.NDArray[np.integer], wanted: Int64Array) -> BoolArray:
    """Whether each key is one of `wanted`, which is sorted and much shorter."""
    if not len(wanted):
        return np.zeros(len(keys), bool)
    at = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
    found: BoolArray = wanted[at] == keys
    return found


def _find_suppressed_values(nodes: Nodes, values: pa.StringArray, suppressed: pa.Table) -> Int64Array:
    tenant, listed = pc.index_in(as_text(suppressed, "tenant_id"), nodes.tenant_ids), as_text(suppressed, "value")
    # Few values are suppressed, so all values are looked up in the suppressed ones.
    found = np.flatnonzero(pc.is_in(values, value_set=listed)).astype(np.int32)
    code = pa.array(found).take(pc.index_in(listed, values.take(pa.array(found))))
    known = pc.and_(tenant.is_valid(), code.is_valid())
    return np.unique(_encode_tenant_values(tenant.filter(known).to_numpy(), code.filter(known).to_numpy()))


def _encode_tenant_values(tenant: Int32Array, code: Int32Array) -> Int64Array:
    value: Int64Array = (tenant.astype(np.int64) << 32) | code
    return value


def _build_match_keys(nodes: Nodes, code: Int32Array, values: pa.StringArray, suppressed: Int64Array) -> MatchKeys:
    node = np.flatnonzero(code >= 0).astype(np.int32)
    value = _encode_tenant_values(nodes.tenant[node], code[node])
    order = np.argsort(value)
    node, value = node[order], value[order]
    starts = np.flatnonzero(np.diff(value, prepend=-1))
    size = np.diff(starts, append=len(value))
    is_suppressed = is_among(value[starts], suppressed)
    is_shared = is_suppressed | _has_many_of_one_service(nodes.service[node], starts, size)
    is_sharing, is_match_key = np.repeat(is_shared, size), np.repeat(~is_shared & (size > 1), size)
    match_code = code.copy()
    match_code[node[is_sharing]] = -1
    shared_value = values.take(pa.array(code[node[is_sharing]]))
    sharing = SharingRecords(node[is_sharing], shared_value, np.repeat(is_suppressed, size)[is_sharing])
    return MatchKeys(match_code, node[is_match_key], value[is_match_key], sharing)


def _has_many_of_one_service(service: Int8Array, starts: npt.NDArray[np.intp], size: npt.NDArray[np.intp]) -> BoolArray:
    """Returns per group of records next to each other whether more than `MAX_SHARING_RECORDS` are of one service."""
    large = np.flatnonzero(size > MAX_SHARING_RECORDS)
    group = np.repeat(np.arange(len(large)), size[large])
    before = np.cumsum(size[large]) - size[large]
    member = np.arange(len(group)) + np.repeat(starts[large] - before, size[large])
    records_per_service = np.bincount(group * len(SERVICES) + service[member], minlength=len(large) * len(SERVICES))
    result = np.zeros(len(size), bool)
    result[large] = records_per_service.reshape(-1, len(SERVICES)).max(axis=1) > MAX_SHARING_RECORDS
    return result
