"""Records as nodes: whole numbers in a fixed order, so no result depends on the order of input rows.

Nodes are numbered by tenant, service (SCL before TEETIME before MESSAGING before CRM) and record id: numbers by their
value, then texts. "First record" and "lowest key" mean the lowest node.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.domain.contact_keys.first_names import FirstNames
from crm_pipeline.domain.table_queries import query_tables
from crm_pipeline.vocabulary import Service

Int32Array = npt.NDArray[np.int32]
Int8Array = npt.NDArray[np.int8]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]

SERVICES: Final = pa.array([str(service) for service in Service])
VALUE_COLUMNS: Final = ("auth_user_id", "email", "phone_number", "first_name", "last_name")
_FOUND_NODES_SQL: Final = """
    select wanted.position, node.position as node
    from wanted_nodes as wanted join all_nodes as node using (tenant, service, record_id)"""
_NUMBER_PATTERN: Final = "^[0-9]+$"
_TEXT_SORT_LENGTH: Final = 2**31 - 1


class Nodes(NamedTuple):
    """The n records of the tenants, in node order.

    Attributes:
        tenant_ids: the tenants, sorted.
        min_confidence: a fraction per tenant.
        tenant: position in `tenant_ids`, (n,).
        service: position in `SERVICES`, (n,).
        record_id: text, (n,).
        codes: per kind of value (auth_user_id, email, phone_number, first_name, last_name) a number for the record's
            value, equal exactly where the values are equal, -1 where there is none, (n,).
        first_names: the first names that the codes stand for, which compares them.
    """

    tenant_ids: pa.StringArray
    min_confidence: Float64Array
    tenant: Int32Array
    service: Int8Array
    record_id: pa.StringArray
    codes: dict[str, Int32Array]
    first_names: FirstNames

    @property
    def size(self) -> int:
        """The number of nodes."""
        return len(self.tenant)

    def select_keys(self, nodes: npt.NDArray[np.integer] | None = None) -> pa.Table:
        """Returns tenant_id, service and record_id of some nodes, or of all; null where a node is -1."""
        wanted = slice(None) if nodes is None else nodes
        absent = None if nodes is None else nodes < 0
        tenant_id = self.tenant_ids.take(pa.array(self.tenant[wanted], mask=absent))
        service = SERVICES.take(pa.array(self.service[wanted], mask=absent))
        record_id = self.record_id if nodes is None else self.record_id.take(pa.array(nodes, mask=absent))
        return pa.table({"tenant_id": tenant_id, "service": service, "record_id": record_id})


class ValueGroups(NamedTuple):
    """The records that have a value of one kind, those of one value next to each other.

    Attributes:
        node: the records, (m,).
        value: tenant and code of each as one number, (m,).
        starts: the position of each value's first record, (v,).
        size: the number of records of each value, (v,).
    """

    node: Int32Array
    value: Int64Array
    starts: npt.NDArray[np.intp]
    size: npt.NDArray[np.intp]

    def list_members(self, some: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], Int32Array]:
        """Returns the records of some values, and for each the position of its value in `some`."""
        size = self.size[some]
        group = np.repeat(np.arange(len(some)), size)
        within = np.arange(len(group)) - np.repeat(np.cumsum(size) - size, size)
        return group, self.node[np.repeat(self.starts[some], size) + within]


def read_nodes(records: pa.Table, tenants: pa.Table) -> tuple[Nodes, dict[str, pa.StringArray]]:
    """Returns the records of the listed tenants as nodes, and per kind of value the text of each code.

    Records of other tenants are left out.

    Raises:
        ValueError: two records have one key, or a service is unknown.
    """
    tenants = tenants.sort_by("tenant_id")
    tenant_ids = as_text(tenants, "tenant_id")
    tenant = pc.index_in(as_text(records, "tenant_id"), tenant_ids)
    if tenant.null_count:
        records, tenant = records.filter(tenant.is_valid()), tenant.drop_null()
    service_key = tenant.to_numpy().astype(np.int64) * len(SERVICES) + _encode_services(records)
    order, encoded = _sort_and_encode_records(service_key, records)
    service_key, record_id = service_key[order], as_text(records, "record_id").take(pa.array(order))
    _validate_unique_keys(service_key, record_id)
    nodes = Nodes(
        tenant_ids,
        tenants["min_confidence"].to_numpy().astype(np.float64),
        (service_key // len(SERVICES)).astype(np.int32),
        (service_key % len(SERVICES)).astype(np.int8),
        record_id,
        {kind: values.indices.fill_null(-1).to_numpy()[order] for kind, values in encoded.items()},
        FirstNames(encoded["first_name"].dictionary),
    )
    return nodes, {kind: values.dictionary for kind, values in encoded.items()}


def as_text(table: pa.Table, column: str) -> pa.StringArray:
    """Returns a column as one array of strings, whatever its string type."""
    chunks = table[column].cast(pa.string()).chunks
    # Concatenating a single chunk would copy it.
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks or [pa.array([], pa.string())])


def find_nodes(con: duckdb.DuckDBPyConnection, nodes: Nodes, wanted: pa.Table) -> Int32Array:
    """Returns the node of each row of `wanted` (tenant_id, service, record_id), -1 where there is none."""
    result = np.full(wanted.num_rows, -1, np.int32)
    if not wanted.num_rows:
        return result
    tenant = pc.index_in(as_text(wanted, "tenant_id"), nodes.tenant_ids)
    service = pc.index_in(as_text(wanted, "service"), SERVICES)
    tables = {
        "all_nodes": _build_key_table(pa.array(nodes.tenant), pa.array(nodes.service), nodes.record_id),
        "wanted_nodes": _build_key_table(tenant, service, as_text(wanted, "record_id")),
    }
    found = query_tables(con, _FOUND_NODES_SQL, tables)
    result[found["position"].to_numpy()] = found["node"].to_numpy()
    return result


def group_by_value(nodes: Nodes, code: Int32Array) -> ValueGroups:
    """Returns the groups of records with the same tenant and code; records without a code (-1) are in none."""
    node = np.flatnonzero(code >= 0).astype(np.int32)
    value = encode_tenant_values(nodes.tenant[node], code[node])
    order = np.argsort(value)
    node, value = node[order], value[order]
    starts = np.flatnonzero(np.diff(value, prepend=-1))
    return ValueGroups(node, value, starts, np.diff(starts, append=len(value)))


def encode_tenant_values(tenant: Int32Array, code: Int32Array) -> Int64Array:
    """Returns one number per tenant and code."""
    value: Int64Array = (tenant.astype(np.int64) << 32) | code
    return value


def _encode_services(records: pa.Table) -> Int64Array:
    service = pc.index_in(as_text(records, "service"), SERVICES)
    if service.null_count:
        raise ValueError(f"a record of an unknown service: expected one of {', '.join(Service)}")
    positions: Int64Array = service.to_numpy().astype(np.int64)
    return positions


def _sort_and_encode_records(
    service_key: Int64Array, records: pa.Table
) -> tuple[Int32Array, dict[str, pa.DictionaryArray]]:
    """Returns the node order and the encoded values, made two at a time: these are slow and need much memory."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        order = pool.submit(_sort_records, service_key, as_text(records, "record_id"))
        encoded = pool.map(lambda kind: as_text(records, kind).dictionary_encode(), VALUE_COLUMNS)
        return order.result(), dict(zip(VALUE_COLUMNS, encoded, strict=True))


def _sort_records(service_key: Int64Array, record_id: pa.StringArray) -> Int32Array:
    """Returns positions of the records in node order: numbers compare by number of digits, then digit by digit."""
    is_number = pc.match_substring_regex(record_id, _NUMBER_PATTERN)
    stripped = pc.if_else(is_number, pc.utf8_ltrim(record_id, "0"), record_id)
    length = pc.if_else(is_number, pc.binary_length(stripped), _TEXT_SORT_LENGTH).to_numpy()
    keys = pa.table({"service_key": (service_key << 32) | length, "stripped": stripped, "record_id": record_id})
    sort_keys = [("service_key", "ascending"), ("stripped", "ascending"), ("record_id", "ascending")]
    if stripped.equals(record_id):
        sort_keys.pop()
    order: Int32Array = pc.sort_indices(keys, sort_keys=sort_keys).to_numpy().astype(np.int32)
    return order


def _validate_unique_keys(service_key: Int64Array, record_id: pa.StringArray) -> None:
    same_text = pc.equal(record_id[1:], record_id[:-1]).to_numpy(zero_copy_only=False)
    if len(record_id) and bool((same_text & (service_key[1:] == service_key[:-1])).any()):
        raise ValueError("two records have the same tenant, service and record id: pass one row per record")


def _build_key_table(tenant: pa.Array, service: pa.Array, record_id: pa.StringArray) -> pa.Table:
    position = np.arange(len(record_id), dtype=np.int32)
    return pa.table({"tenant": tenant, "service": service, "record_id": record_id, "position": position})
