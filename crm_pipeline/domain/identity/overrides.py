"""The decisions of operators: ALWAYS one person, NEVER one person, and those that have no effect.

An override has none where one of its records is absent or set aside, or where it names one record twice; a suppressed
identifier where it is no address or number of its kind, or a pattern. Those that validation set aside have none either.
"""

from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.domain.contact_keys.person_records import WILDCARDS
from crm_pipeline.domain.identity.match_keys import is_among
from crm_pipeline.domain.identity.nodes import BoolArray, Int64Array, Nodes, find_nodes

_INEFFECTIVE_DECISIONS_SQL: Final = Path(__file__).with_name("ineffective_decisions.sql").read_text(encoding="utf-8")
INEFFECTIVE_ROWS_SQL: Final = """
    select tenant_id, 'CRM' as service, table_name, id as service_record_id, id as _subject, column_name, reason,
        'customer_identities' as found_by
    from ineffective_decisions where is_found_here"""
"""A query of the faults that validation did not find, as quarantine rows."""


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


def build_revised_condition(override_condition: str, record_condition: str) -> str:
    """Returns the condition on quarantined_records of this step that a row was found anew: it is replaced.

    That are the rows about the records and the overrides for which the conditions hold, and about every suppressed
    identifier.

    Reads: crm_identity_override.
    """
    return f"""case table_name when 'SuppressedIdentifier' then true
        when 'IdentityOverride' then (tenant_id, service_record_id) not in (
            select (tenant_id, id) from crm_identity_override where not ({override_condition}))
        else {record_condition} end"""


def find_ineffective_decisions(con: duckdb.DuckDBPyConnection, override_condition: str = "true") -> None:
    """Creates temp table `ineffective_decisions`, with the columns of `ineffective_decisions.sql`.

    Where `people` has only some of a tenant's records, `override_condition` selects the overrides about these.

    Reads: crm_identity_override_validated, suppressed_identifiers, tenants, people.
    """
    query = f"from ({_INEFFECTIVE_DECISIONS_SQL}) where table_name <> 'IdentityOverride' or ({override_condition})"
    con.execute(f"create or replace temp table ineffective_decisions as {query}", {"wildcards": WILDCARDS})
