"""The identity closure of dirty records: every record, profile id and review that resolving them again can change.

It is the connected component of the dirty records in a graph of numbered nodes. Records are linked by present and
previous match keys, by their profile and by operator decisions; profile ids by redirects and anchors. Resolving the
closure alone gives its records the same result as resolving all records. A value that stays shared links no records.

Whether a login is shared depends on the names of its records, which are all linked to it, and on which of their emails
and phones are shared. One that is shared since this hour, or no longer, was gained or lost by a dirty record, so all
records with it are in the closure, and with them all that have their logins; of the others `still_shared_values` knows.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from duckdb import DuckDBPyConnection

from crm_pipeline.domain.identity.match_keys import MAX_SHARING_RECORDS
from crm_pipeline.tables.outputs.identity import (
    RECORD_KEY,
    customer_identities,
    identity_reviews,
    profile_events,
    profile_ids,
    withheld_consents,
)
from crm_pipeline.tables.sources.crm import identity_override

_KEY_COLUMNS: Final = {"AUTH_USER_ID": "auth_user_id", "EMAIL": "email", "PHONE": "phone_number"}
_SUPPRESSIBLE_COLUMNS: Final = {kind: column for kind, column in _KEY_COLUMNS.items() if kind != "AUTH_USER_ID"}


def _build_value_node_sql(kind: str, value: str) -> str:
    """The number of a match key in its tenant."""
    return f"hash({kind}, tenant_id, {value})"


def _build_record_node_sql(service: str, record_id: str) -> str:
    return f"hash('record', tenant_id, {service}, {record_id})"


def _build_profile_node_sql(profile_id: str) -> str:
    return f"hash('profile', tenant_id, {profile_id})"


def _build_record_values_query(records: str, key_columns: Mapping[str, str], more_columns: str = "") -> str:
    """Returns the query of record, node of its value and `more_columns`, a row per match key in relation `records`."""
    return " union all ".join(
        f"""select {RECORD_KEY}, {_build_value_node_sql(repr(kind), column)} as value{more_columns}
            from {records} where {column} is not null"""
        for kind, column in key_columns.items()
    )


# A value that all versions of an updated record have was neither gained nor lost.
_STILL_SHARED_VALUES_SQL: Final = f"""
    create or replace temp table still_shared_values as
    with record_versions as (
        select *, count(*) over (partition by {RECORD_KEY}) as versions from changed_person_records)
    select value from ({_build_record_values_query("person_records", _SUPPRESSIBLE_COLUMNS)})
    group by value, service having count(*) > {MAX_SHARING_RECORDS}
    except select value
    from ({_build_record_values_query("record_versions", _SUPPRESSIBLE_COLUMNS, ", versions, _is_update")})
    group by {RECORD_KEY}, value, versions having count(*) < versions or not bool_and(_is_update)"""
"""Creates temp table `still_shared_values` (value): values that are shared, and that no record gained or lost."""
MARK_SHARED_VALUES: Final = " ".join(
    f"""insert into suppressed select distinct tenant_id, '{kind}', {column} from people
    where {_build_value_node_sql(repr(kind), column)} in (from still_shared_values);"""
    for kind, column in _SUPPRESSIBLE_COLUMNS.items()
)
"""Adds to temp table `suppressed` the values of `people` that stay shared; the closure alone has too few sharers."""

_RECORD_NODE: Final = _build_record_node_sql("service", "service_record_id")
_CLOSURE_EDGES_QUERY: Final = " union all ".join(
    [
        *(
            f"""select {_RECORD_NODE} as node_a, value as node_b
            from ({_build_record_values_query(records, _KEY_COLUMNS)})
            where value not in (from still_shared_values)"""
            for records in ("person_records", "changed_person_records")
        ),
        f"select {_RECORD_NODE}, {_build_profile_node_sql('profile_id')} from customer_identities",
        f"""select {_build_profile_node_sql("profile_id")}, {_build_profile_node_sql("redirects_to")}
            from profile_ids where redirects_to is not null""",
        *(
            f"""select {_build_profile_node_sql("profile_id")},
                    {_build_record_node_sql(f"{prefix}_service", f"{prefix}_record_id")}
                from profile_ids
                where not is_live or (minted_service, minted_record_id) <> (anchor_service, anchor_record_id)"""
            for prefix in ("minted", "anchor")
        ),
        f"""select {_build_record_node_sql("service_a", "record_id_a")},
                {_build_record_node_sql("service_b", "record_id_b")}
            from crm_identity_override""",
    ]
)
# The youngest id of each tenant: new ids continue from its birth_order.
_SEED_NODES_QUERY: Final = f"""
    select {_build_record_node_sql("service", "record_id")} as node from dirty_records
    union select {_build_profile_node_sql("arg_max(profile_id, birth_order)")} from profile_ids group by tenant_id"""
_NEXT_FRONTIER_SQL: Final = """
    create or replace temp table frontier as
    from (
        select node_b as node from closure_edges semi join frontier on node_a = node union
        select node_a from closure_edges semi join frontier on node_b = node)
    anti join closure_nodes using (node)"""
_IN_CLOSURE: Final = "in (select node from closure_nodes)"

IS_IN_CLOSURE: Final = MappingProxyType(
    {
        customer_identities: f"{_RECORD_NODE} {_IN_CLOSURE}",
        profile_ids: f"{_build_profile_node_sql('profile_id')} {_IN_CLOSURE}",
        profile_events: f"{_build_profile_node_sql('profile_id')} {_IN_CLOSURE}",
        identity_reviews: f"""(
            {_build_record_node_sql("service_a", "record_id_a")} {_IN_CLOSURE}
            or {_build_record_node_sql("service_b", "record_id_b")} {_IN_CLOSURE}
            or {_build_value_node_sql("(witness ->> 'kind')", "(witness ->> 'value')")} {_IN_CLOSURE})""",
        identity_override: f"""({_build_record_node_sql("service_a", "record_id_a")} {_IN_CLOSURE}
            or {_build_record_node_sql("service_b", "record_id_b")} {_IN_CLOSURE})""",
        # A contact that is set aside is resolved by nobody; only its own change affects it.
        withheld_consents: """(tenant_id, contact_id) in (
            select (tenant_id, record_id) from dirty_records where service = 'MESSAGING')""",
    }
)
"""Per identity table, and for overrides, the condition that a row is in the closure."""

ADD_NEW_PROFILES: Final = f"""
    insert into closure_nodes select {_build_profile_node_sql("profile_id")} from found_ids"""
"""Adds to `closure_nodes` the profiles of `found_ids`: new ones had no id when the closure was found."""


def find_identity_closure(con: DuckDBPyConnection) -> None:
    """Creates temp tables `closure_nodes` (node) and `required_records` (tenant_id, service, record_id): the closure.

    Reads: `dirty_records`; the stored person_records, `changed_person_records` (their versions since the last refresh,
        see `find_changed_rows`), customer_identities and profile_ids; crm_identity_override.
    Creates: also temp table `still_shared_values`, which MARK_SHARED_VALUES reads.
    """
    con.execute(_STILL_SHARED_VALUES_SQL)
    con.execute(f"create or replace temp table closure_edges as {_CLOSURE_EDGES_QUERY}")
    con.execute(f"create or replace temp table frontier as {_SEED_NODES_QUERY}")
    con.execute("create or replace temp table closure_nodes as from frontier")
    while con.sql("from frontier limit 1").fetchall():
        con.execute(_NEXT_FRONTIER_SQL)
        con.execute("insert into closure_nodes from frontier")
    con.execute(f"""
        create or replace temp table required_records as
        select tenant_id, service, service_record_id as record_id from customer_identities
        where {IS_IN_CLOSURE[customer_identities]} union from dirty_records""")
    con.execute("drop table closure_edges")
