"""Whom a changed record concerns: every record, profile id and question that resolving it anew can change.

Identity never goes beyond what hangs together: records by the keys they have or had, by the profile they were in and by
what an operator decided about them, ids by their redirects and anchors. So what is reached from the changed records,
resolved by itself, has what resolving everybody would give it. A value that many share, and the same as before, ties
nobody; but those who are reached must be told that it is shared. Here: what is reached, as numbers of nodes of a graph.
Not here: how identities are resolved (`identities`), and what rows changed (`touched`).
"""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from duckdb import DuckDBPyConnection

from crm_pipeline.domain.identity.match_keys import MAX_SHARING_RECORDS
from crm_pipeline.tables.outputs.identity import customer_identities, identity_reviews, profile_events, profile_ids

_KEY_COLUMNS: Final = {"AUTH_USER_ID": "auth_user_id", "EMAIL": "email", "PHONE": "phone_number"}


def _build_key_sql(kind: str, value: str) -> str:
    """A number for a value as evidence in its club; the lake keeps it, so no version of DuckDB may change it."""
    return f"cast(md5_number_lower(concat_ws('|', tenant_id, {kind}, {value})) // 2 as bigint)"


def _build_record_node_sql(service: str, record_id: str) -> str:
    return f"hash('record', tenant_id, {service}, {record_id})"


def _build_profile_node_sql(profile_id: str) -> str:
    return f"hash('profile', tenant_id, {profile_id})"


_KEY_EXPRESSIONS: Final = ", ".join(
    f"case when {column} is not null then {_build_key_sql(repr(kind), column)} end as {column}_key"
    for kind, column in _KEY_COLUMNS.items()
)
RECORD_KEYS_QUERY: Final = f"select tenant_id, service, record_id as service_record_id, {_KEY_EXPRESSIONS} from people"
"""A query of record_keys rows from relation `people`."""

_SUPPRESSIBLE_COLUMNS: Final = {kind: column for kind, column in _KEY_COLUMNS.items() if kind != "AUTH_USER_ID"}


def _build_record_values_query(keys: str, columns: Iterable[str]) -> str:
    """A query of who carries which value of these columns, as relation `keys` has them."""
    return " union all ".join(
        f"select tenant_id, service, service_record_id, {column}_key as key from {keys} where {column}_key is not null"
        for column in columns
    )


_STILL_SHARED_VALUES_SQL: Final = f"""
    create or replace temp table stay_shared as
    with before as ({_build_record_values_query("record_keys", _SUPPRESSIBLE_COLUMNS.values())}),
        now as ({_build_record_values_query(f"({RECORD_KEYS_QUERY})", _SUPPRESSIBLE_COLUMNS.values())})
    select key from before group by key, service having count(*) > {MAX_SHARING_RECORDS}
    except select key from (from now except from before)
    except select key from (
        from before semi join stirred s
        on s.tenant_id = before.tenant_id and s.service = before.service and s.record_id = before.service_record_id
        except from now)"""
"""Creates temp table `stay_shared`: the values that were shared, and that nobody came to carry or carries no more."""
MARK_SHARED_VALUES: Final = " ".join(
    f"""insert into suppressed select distinct tenant_id, '{kind}', {column} from people
    where {_build_key_sql(repr(kind), column)} in (from stay_shared);"""
    for kind, column in _SUPPRESSIBLE_COLUMNS.items()
)
"""Adds to temp table `suppressed` the values of the reached `people` that stay shared: they are as little evidence."""

_RECORD_NODE: Final = _build_record_node_sql("service", "service_record_id")
_CLOSURE_EDGES_QUERY: Final = " union all ".join(
    [
        *(
            f"""select {_RECORD_NODE} as one, hash('key', key) as other from ({_build_record_values_query(keys, _KEY_COLUMNS.values())})
            where key not in (from stay_shared)"""
            for keys in ("record_keys", f"({RECORD_KEYS_QUERY})")
        ),
        f"select {_RECORD_NODE}, {_build_profile_node_sql('profile_id')} from customer_identities",
        f"select {_build_profile_node_sql('profile_id')}, {_build_profile_node_sql('redirects_to')} from profile_ids where redirects_to is not null",
        *(
            f"""select {_build_profile_node_sql("profile_id")}, {_build_record_node_sql(f"{which}_service", f"{which}_record_id")} from profile_ids
                where not is_live or (minted_service, minted_record_id) <> (anchor_service, anchor_record_id)"""
            for which in ("minted", "anchor")
        ),
        f"""select {_build_record_node_sql("service_a", "record_id_a")}, {_build_record_node_sql("service_b", "record_id_b")}
            from crm_identity_override""",
    ]
)
# Births are counted on from the youngest id.
_SEED_NODES_QUERY: Final = f"""
    select {_build_record_node_sql("service", "record_id")} as node from stirred
    union select {_build_profile_node_sql("arg_max(profile_id, birth_order)")} from profile_ids group by tenant_id"""
_NEXT_FRONTIER_SQL: Final = """
    create or replace temp table frontier as
    from (
        select other as node from ties semi join frontier on one = node union
        select one from ties semi join frontier on other = node)
    anti join reached using (node)"""
_IN_CLOSURE: Final = "in (select node from reached)"

IS_IN_CLOSURE: Final = MappingProxyType(
    {
        customer_identities: f"{_RECORD_NODE} {_IN_CLOSURE}",
        profile_ids: f"{_build_profile_node_sql('profile_id')} {_IN_CLOSURE}",
        profile_events: f"{_build_profile_node_sql('profile_id')} {_IN_CLOSURE}",
        identity_reviews: f"""(
            {_build_record_node_sql("service_a", "record_id_a")} {_IN_CLOSURE} or {_build_record_node_sql("service_b", "record_id_b")} {_IN_CLOSURE}
            or hash('key', {_build_key_sql("(witness ->> 'kind')", "(witness ->> 'value')")}) {_IN_CLOSURE})""",
    }
)
"""Per table of identities the condition that a row is reached."""


def find_identity_closure(con: DuckDBPyConnection) -> None:
    """Create temp tables `reached` (node) and `required_records` (tenant_id, service, record_id): those to be resolved.

    And `stay_shared`, which `TELL_SHARED` reads once they are.
    Reads `stirred`, the records that changed; `people` as those now are; record_keys, customer_identities and
    profile_ids as they were left last; crm_identity_override.
    """
    con.execute(_STILL_SHARED_VALUES_SQL)
    con.execute(f"create or replace temp table ties as {_CLOSURE_EDGES_QUERY}")
    con.execute(f"create or replace temp table frontier as {_SEED_NODES_QUERY}")
    con.execute("create or replace temp table reached as from frontier")
    while con.sql("from frontier limit 1").fetchall():
        con.execute(_NEXT_FRONTIER_SQL)
        con.execute("insert into reached from frontier")
    con.execute(f"""
        create or replace temp table required_records as
        select tenant_id, service, service_record_id as record_id from customer_identities
        where {IS_IN_CLOSURE[customer_identities]} union from stirred""")
    con.execute("drop table ties")
