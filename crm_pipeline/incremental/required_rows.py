"""What each model's batches find affected, and the source rows they require.

Required are the rows owned by `required_records` (tenant_id, service, record_id) and `affected_profiles` (tenant_id,
profile_id), and single rows in `dirty_rows`. Reads: `watermarks` and per table `present_<lake name>`.
"""

from collections.abc import Iterable, Sequence
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
from crm_pipeline.vocabulary import Service

IDENTITY_COLUMNS: Final = {
    identity.customer_identities: ("tenant_id", "profile_id"),
    identity.profile_ids: ("tenant_id", "profile_id", "redirects_to"),
    identity.withheld_consents: ("tenant_id", "profile_id"),
}
"""The tables that assign rows to profiles, and the columns whose changes matter."""

TIMELINE_INPUTS: Final = (*PERSONAL_TABLES, *IDENTITY_COLUMNS)
"""The tables whose changes affect profile timelines."""

SCORE_INPUTS: Final = (
    *SCORE_SOURCE_TABLES,
    identity.person_records,
    *IDENTITY_COLUMNS,
    timeline.customer_timeline,
)
"""The tables whose changes affect profile scores."""

FULL_REFRESH_TRIGGERS: Final = (crm.tenant,)
"""The tables whose changes are a full refresh of the tenant in every model."""


def find_affected_events(batch: RunContext) -> bool:
    """Whether any timeline event of the batch's tenants may have changed.

    Creates: temp tables `affected_profiles` and `dirty_rows`, whose events are rebuilt, and `required_<lake name>`.
    """
    _find_source_changes(batch, PERSONAL_TABLES)
    find_validity_changes(batch.con, PERSON_TABLES.values())
    find_dirty_rows(batch.con, PERSONAL_TABLES, TIMELINE_TIME_TRIGGERS)
    _find_identity_changes(batch)
    find_affected_profiles(batch.con)
    # A dirty row can be without an owner; it has to be quarantined.
    if not has_rows(batch.con, "dirty_records", "dirty_rows", "affected_profiles"):
        return False
    require_affected_records(batch.con)
    add_linked_dirty_rows(batch.con)
    select_owned_and_dirty_rows(batch.con, PERSONAL_TABLES)
    return True


def find_affected_scores(batch: RunContext) -> None:
    """Finds the profiles of the batch's tenants whose scores may have changed, and what scoring them reads.

    Creates: temp tables `affected_profiles`, `required_profiles` (also the profiles they referred), `referrals` and
        `required_<lake name>`.
    """
    _find_source_changes(batch, SCORE_SOURCE_TABLES)
    find_dirty_records(batch.con, SCORE_SOURCE_TABLES, SCORE_TIME_TRIGGERS)
    find_changed_rows(
        batch.lake, batch.con, identity.person_records, ("tenant_id", "service", "service_record_id"), "watermarks"
    )
    batch.con.execute("""
        insert into dirty_records
        select distinct tenant_id, service, service_record_id from changed_person_records""")
    _find_identity_changes(batch)
    find_affected_profiles(batch.con)
    batch.lake.create_current_view(batch.con, timeline.customer_timeline, tenants=batch.tenants)
    find_changed_rows(batch.lake, batch.con, timeline.customer_timeline, ("tenant_id", "profile_id"), "watermarks")
    add_event_affected_profiles(batch.con)
    require_affected_records(batch.con)
    select_owned_rows(batch.con, SCORE_SOURCE_TABLES)


def find_dirty_person_records(batch: RunContext) -> bool:
    """Whether any person record is dirty. A contact whose consent is withheld is, as long as it has no row.

    Creates: temp table `dirty_records`.
    """
    _find_source_changes(batch, tuple(PERSON_TABLES.values()))
    find_dirty_records(batch.con, PERSON_TABLES.values(), IDENTITY_TIME_TRIGGERS)
    withheld_view = batch.lake.create_current_view(batch.con, identity.withheld_consents, tenants=batch.tenants)
    batch.con.execute(f"""
        insert into dirty_records
        select tenant_id, '{Service.MESSAGING}', contact_id from {withheld_view}
        where (tenant_id, contact_id) not in (
            select (tenant_id, id) from present_messaging_contact where id is not null)""")
    return has_rows(batch.con, "dirty_records")


def find_revalidated_rows(batch: RunContext, tables: Sequence[Table]) -> bool:
    """Whether the validity of any row of these tables of a service may have changed.

    Validated again are the dirty rows, and all rows of person records whose validity may have changed.

    Creates: temp tables `dirty_records`, `dirty_rows` and `required_<lake name>`.
    """
    _find_source_changes(batch, tables)
    find_validity_changes(batch.con, set(tables) & set(PERSON_TABLES.values()))
    find_dirty_rows(batch.con, set(tables) & set(PERSONAL_TABLES), {})
    if not has_rows(batch.con, "dirty_records", "dirty_rows"):
        return False
    require_dirty_records(batch.con)
    select_owned_and_dirty_rows(batch.con, tables)
    return True


def require_dirty_records(con: DuckDBPyConnection) -> None:
    """Creates temp table `required_records`: the dirty records."""
    con.execute("create or replace temp table required_records as from dirty_records")


def require_affected_records(con: DuckDBPyConnection) -> None:
    """Creates temp table `required_records`: the records of affected profiles, from customer_identities."""
    con.execute("""
        create or replace temp table required_records as
        select tenant_id, service, service_record_id as record_id
        from customer_identities semi join affected_profiles using (tenant_id, profile_id)""")


def select_owned_rows(con: DuckDBPyConnection, tables: Iterable[Table]) -> None:
    """Creates temp tables `required_<lake name>`: the rows owned by required records and affected profiles."""
    for table in tables:
        _select_rows_by_owner(con, table, _build_owners_query(table))


def select_owned_and_dirty_rows(con: DuckDBPyConnection, tables: Sequence[Table]) -> None:
    """Creates temp tables `required_<lake name>`: owned rows, dirty rows, and the person records that these name.

    A row without an id is always required, since no key identifies it.
    """
    person_tables = [table for table in tables if table in PERSON_TABLES.values()]
    other_tables = [table for table in tables if table not in person_tables]
    for table in other_tables:
        _select_single_rows(con, table)
    for table in person_tables:
        named_owners = (
            f"select tenant_id, {find_owner_column(rows).key} as id from required_{to_lake_name(rows)}"
            for rows in other_tables
            if find_owner_service(rows) == find_owner_service(table)
        )
        _select_rows_by_owner(
            con, table, " union ".join((_build_owners_query(table), _build_dirty_ids_query(table), *named_owners))
        )


def _find_source_changes(batch: RunContext, tables: Sequence[Table]) -> None:
    for table in tables:
        batch.lake.create_current_view(batch.con, table, tenants=batch.tenants, name=f"present_{to_lake_name(table)}")
        find_changed_rows(batch.lake, batch.con, table, list_tracked_columns(table), "watermarks")


def _find_identity_changes(batch: RunContext) -> None:
    for table, columns in IDENTITY_COLUMNS.items():
        batch.lake.create_current_view(batch.con, table, tenants=batch.tenants)
        find_changed_rows(batch.lake, batch.con, table, columns, "watermarks")
    batch.con.execute(CREATE_PROFILE_TARGETS)


def _select_single_rows(con: DuckDBPyConnection, table: Table) -> None:
    """Creates temp table `required_<lake name>`: owned rows and dirty rows. Old rows are read only where required.

    Of an id that was delivered twice the row that counts can be an old one. Only an id whose row was inserted since has
    no old rows.
    """
    name, owner = to_lake_name(table), find_owner_column(table).key
    [(oldest_version,)] = con.sql(f"select min({name}) from watermarks").fetchall()
    is_new = f"_version > {oldest_version}"
    is_owned = f"(tenant_id, {owner}) in (select (tenant_id, {owner}) from ({_build_owners_query(table)}))"
    con.execute(f"""
        create or replace temp table required_{name} as
        from present_{name} where id is null
        union all
        from present_{name} where {is_new} and id is not null
            and ({is_owned} or (tenant_id, id) in (select (tenant_id, id) from ({_build_dirty_ids_query(table)})))""")
    con.execute(f"""
        create or replace temp table older_dirty_rows as
        {_build_dirty_ids_query(table)} except (
            select tenant_id, id from required_{name} where _record_key = cast(id as varchar)
            except select tenant_id, id from changed_{name} where _is_update)""")
    if has_rows(con, "older_dirty_rows", f"({_build_owners_query(table)})"):
        con.execute(f"""
            insert into required_{name} from present_{name} where not {is_new} and id is not null
            and ({is_owned} or (tenant_id, id) in (select (tenant_id, id) from older_dirty_rows))""")


def _select_rows_by_owner(con: DuckDBPyConnection, table: Table, owners: str) -> None:
    con.execute(f"""
        create or replace temp table required_{to_lake_name(table)} as
        from present_{to_lake_name(table)} semi join ({owners}) using (tenant_id, {find_owner_column(table).key})""")


def _build_dirty_ids_query(table: Table) -> str:
    """Returns the query of tenant_id and id of the table's dirty rows."""
    return f"""
        select tenant_id, cast(record_id as {to_duckdb_type(table.c.id)}) as id
        from dirty_rows where table_name = '{table.name}'"""


def _build_owners_query(table: Table) -> str:
    """Returns the query of tenant_id and owner column: required records or affected profiles that can own rows."""
    owner = find_owner_column(table)
    if service := find_owner_service(table):
        return f"""
            select tenant_id, try_cast(record_id as {to_duckdb_type(owner)}) as {owner.key}
            from required_records where service = '{service}'"""
    return f"""
        select p.tenant_id, p.profile_id as {owner.key} from profile_targets p
        semi join affected_profiles t on t.tenant_id = p.tenant_id and t.profile_id = p.target"""
