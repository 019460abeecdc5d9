"""Match keys: the values that few enough records have and no operator suppressed; all others are shared values.

An auth_user_id is shared too where three of its records are three people by everything else.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.domain.identity.nodes import (
    SERVICES,
    BoolArray,
    Int32Array,
    Int64Array,
    Nodes,
    ValueGroups,
    as_text,
    encode_tenant_values,
    group_by_value,
)
from crm_pipeline.domain.identity.shared_logins import find_differing_records

MAX_SHARING_RECORDS: Final = 3
AUTH_USER_ID, EMAIL, PHONE = "AUTH_USER_ID", "EMAIL", "PHONE"
MATCH_KEY_COLUMNS: Final = {AUTH_USER_ID: "auth_user_id", EMAIL: "email", PHONE: "phone_number"}


class SharingRecords(NamedTuple):
    """The records with a shared value, which is no match key, and the value.

    `differs` marks the three records of a login that differ pairwise, where that alone makes it a shared value.
    """

    node: Int32Array
    value: pa.StringArray
    is_suppressed: BoolArray
    differs: BoolArray


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
    for kind in (EMAIL, PHONE):
        column = MATCH_KEY_COLUMNS[kind]
        of_kind = suppressed.filter(pc.equal(suppressed["kind"], kind))
        groups = group_by_value(nodes, nodes.codes[column])
        is_suppressed = is_among(groups.value[groups.starts], _find_suppressed_values(nodes, values[column], of_kind))
        is_shared = is_suppressed | _has_many_of_one_service(nodes, groups)
        keys_by_kind[kind] = _build_match_keys(nodes.codes[column], values[column], groups, is_shared, is_suppressed)
    return keys_by_kind | {AUTH_USER_ID: _build_login_keys(nodes, values["auth_user_id"], keys_by_kind)}


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
    return np.unique(encode_tenant_values(tenant.filter(known).to_numpy(), code.filter(known).to_numpy()))


def _build_login_keys(nodes: Nodes, values: pa.StringArray, keys_by_kind: dict[str, MatchKeys]) -> MatchKeys:
    code, contacts = nodes.codes["auth_user_id"], [keys.code for keys in keys_by_kind.values()]
    logins = group_by_value(nodes, code)
    is_counted = _has_many_of_one_service(nodes, logins)
    differing = find_differing_records(nodes, logins, is_counted, contacts)
    is_shared = is_counted | (differing[:, 0] >= 0)
    keys = _build_match_keys(code, values, logins, is_shared, np.zeros(len(is_shared), bool))
    return keys._replace(sharing=keys.sharing._replace(differs=np.isin(keys.sharing.node, differing)))


def _build_match_keys(
    code: Int32Array, values: pa.StringArray, groups: ValueGroups, is_shared: BoolArray, is_suppressed: BoolArray
) -> MatchKeys:
    node, value, _, size = groups
    is_sharing, is_match_key = np.repeat(is_shared, size), np.repeat(~is_shared & (size > 1), size)
    match_code = code.copy()
    match_code[node[is_sharing]] = -1
    shared_value = values.take(pa.array(code[node[is_sharing]]))
    sharing = SharingRecords(
        node[is_sharing], shared_value, np.repeat(is_suppressed, size)[is_sharing], np.zeros(is_sharing.sum(), bool)
    )
    return MatchKeys(match_code, node[is_match_key], value[is_match_key], sharing)


def _has_many_of_one_service(nodes: Nodes, groups: ValueGroups) -> BoolArray:
    """Returns per value whether more than `MAX_SHARING_RECORDS` records of one service have it."""
    large = np.flatnonzero(groups.size > MAX_SHARING_RECORDS)
    group, member = groups.list_members(large)
    service_key = group * len(SERVICES) + nodes.service[member]
    records_per_service = np.bincount(service_key, minlength=len(large) * len(SERVICES))
    result = np.zeros(len(groups.size), bool)
    result[large] = records_per_service.reshape(-1, len(SERVICES)).max(axis=1) > MAX_SHARING_RECORDS
    return result
