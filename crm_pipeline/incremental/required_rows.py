"""The source rows that an incremental batch reads: those of some people, and single ones.

Temp table `required_records` (tenant_id, service, record_id) has the people's records, `affected_profiles` the profiles
that rows name, and `dirty_rows` the single rows. Reads of each table relation `present_<lake name>`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.domain.timeline.events import CREATE_PROFILE_TARGETS
from crm_pipeline.incremental.affected import (
    SCORE_SOURCE_TABLES,
    add_event_affected_profiles,
    add_linked_dirty_rows,
    find_affected_profiles,
)
from crm_pipeline.incremental.dirty_rows import (
    IDENTITY_TIME_TRIGGERS,
    SCORE_TIME_TRIGGERS,
    TIMELINE_TIME_TRIGGERS,
    find_dirty_records,
    find_dirty_rows,
    find_validity_changes,
    has_rows,
    list_tracked_columns,
)
from crm_pipeline.resources.lake.change_feed import find_changed_rows
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.outputs import identity, timeline
from crm_pipeline.tables.ownership import PERSONAL_TABLES, find_owner_column, find_owner_service
from crm_pipeline.tables.projections import to_duckdb_type, to_lake_name
from crm_pipeline.tables.sources import crm

IDENTITY_COLUMNS: Final = {
    identity.customer_identities: ("tenant_id", "profile_id"),
    identity.profile_ids: ("tenant_id", "profile_id", "redirects_to"),
}
"""The tables that say whose rows are whose, and what is looked at of them."""
TIMELINE_INPUTS: Final = (*PERSONAL_TABLES, *IDENTITY_COLUMNS)
SCORE_INPUTS: Final = (*SCORE_SOURCE_TABLES, *IDENTITY_COLUMNS, timeline.customer_timeline)
"""The tables whose changes touch profiles' timelines, and their scores."""
FULL_REFRESH_TRIGGERS: Final = (crm.tenant,)


def find_timeline_batch(run: RunContext, tenants: list[str]) -> RunContext | None:
    """This step for the events to be told anew of these tenants, which are in `noted`; None if nothing stirred.

    They are those of temp tables `affected_profiles` and `dirty_rows`.
    """
    batch = replace(run, tenants=tenants, only_required=True)
    _find_source_changes(batch, PERSONAL_TABLES)
    find_validity_changes(batch.con, PERSON_TABLES.values())
    find_dirty_rows(batch.con, PERSONAL_TABLES, TIMELINE_TIME_TRIGGERS)
    _find_identity_changes(batch)
    find_affected_profiles(batch.con)
    # A row can have been stirred that is nobody's, and has to be set aside.
    if not has_rows(batch.con, "stirred", "dirty_rows", "affected_profiles"):
        return None
    require_affected_records(batch.con)
    add_linked_dirty_rows(batch.con)
    select_owned_and_dirty_rows(batch.con, PERSONAL_TABLES)
    return batch


def find_score_batch(run: RunContext, tenants: list[str]) -> RunContext:
    """This step for whose scores the hour touched; whom they brought, and count for it, is in `required_profiles`."""
    batch = replace(run, tenants=tenants, only_required=True)
    _find_source_changes(batch, SCORE_SOURCE_TABLES)
    find_dirty_records(batch.con, SCORE_SOURCE_TABLES, SCORE_TIME_TRIGGERS)
    _find_identity_changes(batch)
    find_affected_profiles(batch.con)
    batch.lake.current(batch.con, timeline.customer_timeline, tenants=tenants)
    find_changed_rows(batch.lake, batch.con, timeline.customer_timeline, ("tenant_id", "profile_id"), "noted")
    add_event_affected_profiles(batch.con)
    require_affected_records(batch.con)
    select_owned_rows(batch.con, SCORE_SOURCE_TABLES)
    return batch


def find_dirty_person_records(batch: RunContext) -> bool:
    """Create temp table `stirred` of people's records, from which resolving starts; return whether there are any."""
    _find_source_changes(batch, tuple(PERSON_TABLES.values()))
    find_dirty_records(batch.con, PERSON_TABLES.values(), IDENTITY_TIME_TRIGGERS)
    return has_rows(batch.con, "stirred")


def find_validation_batch(run: RunContext, tenants: list[str], tables: Sequence[Table]) -> RunContext | None:
    """This step for the rows of a service to be judged again: the stirred, and all of unsettled people; or None."""
    batch = replace(run, tenants=tenants, only_required=True)
    _find_source_changes(batch, tables)
    find_validity_changes(batch.con, set(tables) & set(PERSON_TABLES.values()))
    find_dirty_rows(batch.con, set(tables) & set(PERSONAL_TABLES), {})
    if not has_rows(batch.con, "stirred", "dirty_rows"):
        return None
    require_dirty_records(batch.con)
    select_owned_and_dirty_rows(batch.con, tables)
    return batch


def _find_source_changes(batch: RunContext, tables: Sequence[Table]) -> None:
    for table in tables:
        batch.lake.current(batch.con, table, tenants=batch.tenants, name=f"present_{to_lake_name(table)}")
        find_changed_rows(batch.lake, batch.con, table, list_tracked_columns(table), "noted")


def _find_identity_changes(batch: RunContext) -> None:
    for table, columns in IDENTITY_COLUMNS.items():
        batch.lake.current(batch.con, table, tenants=batch.tenants)
        find_changed_rows(batch.lake, batch.con, table, columns, "noted")
    batch.con.execute(CREATE_PROFILE_TARGETS)


def require_dirty_records(con: DuckDBPyConnection) -> None:
    """Create temp table `required_records`: the stirred people's."""
    con.execute("create or replace temp table required_records as from stirred")


def require_affected_records(con: DuckDBPyConnection) -> None:
    """Create temp table `required_records`: those of the touched profiles, as customer_identities has them."""
    con.execute("""
        create or replace temp table required_records as
        select tenant_id, service, service_record_id as record_id
        from customer_identities semi join affected_profiles using (tenant_id, profile_id)""")


def select_owned_rows(con: DuckDBPyConnection, tables: Iterable[Table]) -> None:
    """Create temp tables `needed_<lake name>`: of each table the rows of needed records and touched profiles."""
    for table in tables:
        _select_rows_by_owner(con, table, _build_owners_query(table))


def select_owned_and_dirty_rows(con: DuckDBPyConnection, tables: Sequence[Table]) -> None:
    """Create temp tables `needed_<lake name>`: the same, and the stirred rows with the people they are of.

    A row without an id is always needed: nothing tells it from others. Reads `noted` besides.
    """
    people = [table for table in tables if table in PERSON_TABLES.values()]
    others = [table for table in tables if table not in people]
    for table in others:
        _select_single_rows(con, table)
    for table in people:
        of_rows = (
            f"select tenant_id, {find_owner_column(rows).key} as id from needed_{to_lake_name(rows)}"
            for rows in others
            if find_owner_service(rows) == find_owner_service(table)
        )
        _select_rows_by_owner(
            con, table, " union ".join((_build_owners_query(table), _build_dirty_ids_query(table), *of_rows))
        )


def _select_single_rows(con: DuckDBPyConnection, table: Table) -> None:
    """Of a table of which rows are needed for themselves too: nearly all are new, and those before seldom read."""
    name, own = to_lake_name(table), find_owner_column(table).key
    [(least,)] = con.sql(f"select min({name}) from noted").fetchall()
    is_new = f"_version > {least}"
    is_owned = f"(tenant_id, {own}) in (select (tenant_id, {own}) from ({_build_owners_query(table)}))"
    con.execute(f"""
        create or replace temp table needed_{name} as
        from present_{name} where id is null
        union all
        from present_{name} where {is_new} and id is not null
            and ({is_owned} or (tenant_id, id) in (select (tenant_id, id) from ({_build_dirty_ids_query(table)})))""")
    con.execute(f"""
        create or replace temp table older as
        {_build_dirty_ids_query(table)} except select tenant_id, id from needed_{name}""")
    if has_rows(con, "older", f"({_build_owners_query(table)})"):
        con.execute(f"""
            insert into needed_{name} from present_{name} where not {is_new} and id is not null
            and ({is_owned} or (tenant_id, id) in (select (tenant_id, id) from older))""")


def _select_rows_by_owner(con: DuckDBPyConnection, table: Table, owners: str) -> None:
    con.execute(f"""
        create or replace temp table needed_{to_lake_name(table)} as
        from present_{to_lake_name(table)} semi join ({owners}) using (tenant_id, {find_owner_column(table).key})""")


def _build_dirty_ids_query(table: Table) -> str:
    """A query of tenant_id and id of the table's stirred rows."""
    return f"""
        select tenant_id, cast(record_id as {to_duckdb_type(table.c.id)}) as id
        from dirty_rows where table_name = '{table.name}'"""


def _build_owners_query(table: Table) -> str:
    """A query of tenant_id and own column: the needed records or touched profiles that rows of the table can be of."""
    own = find_owner_column(table)
    if service := find_owner_service(table):
        return f"""
            select tenant_id, try_cast(record_id as {to_duckdb_type(own)}) as {own.key}
            from required_records where service = '{service}'"""
    return f"""
        select p.tenant_id, p.profile_id as {own.key} from profile_targets p
        semi join affected_profiles t on t.tenant_id = p.tenant_id and t.profile_id = p.target"""
