"""The decisions of operators about pairs of records: ALWAYS one person, NEVER one person."""

from typing import NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.domain.identity.match_keys import is_among
from crm_pipeline.domain.identity.nodes import BoolArray, Int64Array, Nodes, find_nodes


class Decisions(NamedTuple):
    """Decided pairs of nodes as keys (see `build_pair_key`), sorted and unique, without those of deleted records.

    Attributes:
        always: the ALWAYS pairs to apply.
        never: the NEVER pairs.
        rejected_by_auth: ALWAYS pairs rejected because the two have different auth_user_ids.
        rejected_by_never: ALWAYS pairs rejected because of a NEVER about the same two. A pair that both reject is in
            neither: the NEVER has settled it already.
    """

    always: Int64Array
    never: Int64Array
    rejected_by_auth: Int64Array
    rejected_by_never: Int64Array


def build_pair_key(one: npt.NDArray[np.integer], other: npt.NDArray[np.integer]) -> Int64Array:
    """Returns one number per unordered pair of nodes; it sorts like (lower node, higher node)."""
    low, high = np.minimum(one, other).astype(np.int64), np.maximum(one, other).astype(np.int64)
    key: Int64Array = (low << 32) | high
    return key


def split_pair_key(key: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Returns the lower and the higher node of each pair key."""
    return key >> 32, key & 0xFFFFFFFF


def read_decisions(con: duckdb.DuckDBPyConnection, nodes: Nodes, overrides: pa.Table) -> Decisions:
    """Returns the decisions about records of `nodes`.

    Raises:
        ValueError: a decision is neither ALWAYS nor NEVER.
    """
    unknown = set(overrides["decision"].to_pylist()) - {"ALWAYS", "NEVER"}
    if unknown:
        raise ValueError(f"unknown identity override {sorted(unknown)}: expected ALWAYS or NEVER")
    one, other = (
        find_nodes(con, nodes, overrides.select(columns).rename_columns(["tenant_id", "service", "record_id"]))
        for columns in (["tenant_id", "service_a", "record_id_a"], ["tenant_id", "service_b", "record_id_b"])
    )
    known = (one >= 0) & (other >= 0) & (one != other)
    is_never = pc.equal(overrides["decision"], "NEVER").to_numpy()
    never, always = (
        np.unique(build_pair_key(one[mask], other[mask])) for mask in (known & is_never, known & ~is_never)
    )
    by_auth, by_never = have_different_auth(nodes, *split_pair_key(always)), is_among(always, never)
    rejected_by_both = by_auth & by_never
    return Decisions(
        always[~by_auth & ~by_never],
        never,
        always[by_auth & ~rejected_by_both],
        always[by_never & ~rejected_by_both],
    )


def have_different_auth(nodes: Nodes, one: npt.NDArray[np.integer], other: npt.NDArray[np.integer]) -> BoolArray:
    """Whether the nodes of each pair have different auth_user_ids; shared ones count, since a person has only one."""
    auth = nodes.codes["auth_user_id"]
    differ: BoolArray = (auth[one] != auth[other]) & (auth[one] >= 0) & (auth[other] >= 0)
    return differ
