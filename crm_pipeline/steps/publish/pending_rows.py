"""The pending rows of a publication: per tenant the tables whose lake version differs from the published one.

Changed rows are taken from the lake's log. All rows of a tenant are taken only if it is new in the warehouse, or was
published from another lake.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Table

from crm_pipeline.domain.batches import split_into_batches
from crm_pipeline.resources.lake.change_feed import build_changes_query
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.resources.warehouse.publishing.publication_state import (
    ContentFingerprint,
    PublicationState,
    find_fingerprints,
    read_lake_id,
    tenant_id_sql,
)
from crm_pipeline.resources.warehouse.publishing.table_publication import PendingByTenant, PendingRows
from crm_pipeline.resources.warehouse.schema import quote_literal
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.projections import list_key_columns, to_lake_name

PublicationStates = Mapping[tuple[str, str], PublicationState]
TenantChanges = Mapping[str, tuple[int, ContentFingerprint]]
"""Per tenant the number of changed rows, and the change of the content fingerprint."""
MAX_PENDING_ROWS = 2_000_000
"""Pending rows of one batch of tenants."""
RECOUNT_INTERVAL = timedelta(days=1)
"""A tenant published longer ago is counted again, since the log may have lost rows removed meanwhile."""


def find_pending_rows(
    run: RunContext, published: PublicationStates, table: Table, tenants: Sequence[str] | None
) -> dict[str, PendingRows]:
    """Returns the pending rows of each tenant that has any.

    Creates: view `lake_view_name(table)` and temp tables `changes_table_name(table)` and `change_log_name(table)`.
    """
    own_lake_id = read_lake_id(run.lake, table)
    states = {t: state for (name, t), state in published.items() if name == table.name and state.lake_id == own_lake_id}
    versions = find_newest_versions(run, table, tenants, states)
    pending_versions = {t: v for t, v in versions.items() if t not in states or states[t].version != v}
    present = run.lake.create_current_view(run.con, table, tenants=tenants, name=lake_view_name(table))
    logged_states = {t: states[t] for t in pending_versions if t in states} if _has_own_log(table) else {}
    changed = _create_change_tables(run, table, logged_states)
    recounted_tenants = [
        t for t in pending_versions if t not in changed or run.as_of - states[t].as_of >= RECOUNT_INTERVAL
    ]
    counted = (
        find_fingerprints(
            run.con, table, f"(from {present} where {_build_tenants_condition(table, recounted_tenants)})"
        )
        if recounted_tenants
        else {}
    )
    full_contents = dict.fromkeys(recounted_tenants, ContentFingerprint(0, 0)) | counted
    return {
        tenant: PendingRows(
            table=table,
            relation=present,
            fingerprint=full_contents[tenant]
            if tenant in full_contents
            else _add_fingerprints(states[tenant].fingerprint, changed[tenant][1]),
            version=version,
            lake_id=own_lake_id,
            changes_relation=changes_table_name(table) if tenant in changed else None,
            changed_rows=changed[tenant][0] if tenant in changed else 0,
        )
        for tenant, version in pending_versions.items()
    }


def lake_view_name(table: Table) -> str:
    """Returns the name of the view of a table's rows in the lake."""
    return f"lake_{table.name}"


def changes_table_name(table: Table) -> str:
    """Returns the name of the temp table of the newest unpublished versions, see `PendingRows.changes_relation`."""
    return f"pending_changes_{table.name}"


def change_log_name(table: Table) -> str:
    """Returns the name of the temp table of all unpublished versions, of tenants that were published from this lake."""
    return f"pending_log_{table.name}"


def build_pending_batches(
    run: RunContext, pending: PendingByTenant, tenants: Sequence[str]
) -> Iterator[dict[str, list[PendingRows]]]:
    """Yields the pending rows of tenants batch by batch; full contents are read once per batch."""
    row_counts = Counter({tenant: sum(rows.row_count for rows in pending[tenant]) for tenant in tenants})
    for batch_tenants in split_into_batches(sorted(tenants), row_counts, MAX_PENDING_ROWS):
        full_relations = _select_full_rows(run, pending, batch_tenants)
        yield {
            tenant: [
                rows if rows.changes_relation else rows._replace(relation=full_relations[rows.table])
                for rows in pending[tenant]
            ]
            for tenant in batch_tenants
        }


def find_newest_versions(
    run: RunContext, table: Table, tenants: Sequence[str] | None, states: Mapping[str, PublicationState]
) -> dict[str, int]:
    """Returns the version of each tenant's newest row, -1 without rows; `tenants` None includes rows without a tenant.

    If all tenants were published from this lake, older rows than the published ones are not read.
    """
    versions = {tenant: states[tenant].version if tenant in states else -1 for tenant in tenants or ()}
    since = min(versions.values(), default=-1)
    # An older copy of the lake has lower versions than the published ones. Read all, so that publishing refuses it.
    if max(versions.values(), default=-1) > run.lake.version(table):
        versions, since = dict.fromkeys(versions, -1), -1
    log = run.lake.create_log_view(run.con, table, after=since)
    found = run.con.sql(f"""
        select {tenant_id_sql(table)}, max(_version) from {log}
        where {build_tenant_condition(tenants)} group by 1""").fetchall()
    return versions | dict(found)


def _select_full_rows(run: RunContext, pending: PendingByTenant, tenants: Sequence[str]) -> dict[Table, str]:
    """Returns per table that some tenant needs in full a relation of its rows: a temp table if several tenants do."""
    tenants_by_table: dict[Table, list[str]] = defaultdict(list)
    for tenant in tenants:
        for rows in pending[tenant]:
            if not rows.changes_relation:
                tenants_by_table[rows.table].append(tenant)
    shared_tables = [table for table, needing in tenants_by_table.items() if len(needing) > 1]
    for table in shared_tables:
        query = (
            f"select * from {lake_view_name(table)} where {_build_tenants_condition(table, tenants_by_table[table])}"
        )
        run.con.execute(f"create or replace temp table {_full_table_name(table)} as {query}")
    return {
        table: _full_table_name(table) if table in shared_tables else lake_view_name(table)
        for table in tenants_by_table
    }


def _full_table_name(table: Table) -> str:
    return f"pending_rows_{table.name}"


def _build_tenants_condition(table: Table, tenants: Sequence[str]) -> str:
    return f"{tenant_id_sql(table)} in ({', '.join(map(quote_literal, tenants))})"


def _has_own_log(table: Table) -> bool:
    """Whether the log has all changes of a tenant; without tenant_id in the key, a row can pass to another tenant."""
    return "tenant_id" in list_key_columns(table)


def _create_change_tables(run: RunContext, table: Table, states: Mapping[str, PublicationState]) -> TenantChanges:
    """Creates the tables of `change_log_name` and `changes_table_name` of these tenants; returns their changes."""
    query = f"""
        create or replace temp table published_versions as
        select unnest($tenants) as tenant_id, unnest($versions) as {to_lake_name(table)}"""
    versions = [state.version for state in states.values()]
    run.con.execute(query, {"tenants": list(states), "versions": versions})
    changes = build_changes_query(run.lake, run.con, table, "published_versions")
    run.con.execute(f"create or replace temp table {change_log_name(table)} as {changes}")
    run.con.execute(f"""
        create or replace temp table {changes_table_name(table)} as
        select *, _deleted as _is_removed from {change_log_name(table)}
        qualify row_number() over (partition by {", ".join(list_key_columns(table))} order by _version desc) = 1""")
    found = run.con.sql(f"""
        select tenant_id, changed_rows, rows, checksum from (
            select tenant_id, sum(case when _deleted then -1 when _replaces is null then 1 else 0 end) as rows,
                sum(if(_deleted, 0, _row_hash)) - sum(coalesce(_replaces, 0)) as checksum
            from {change_log_name(table)} group by all
        ) join (
            select tenant_id, count(*) as changed_rows from {changes_table_name(table)} group by all
        ) using (tenant_id)""")
    return {
        tenant: (changed_rows, ContentFingerprint(int(rows), int(checksum)))
        for tenant, changed_rows, rows, checksum in found.fetchall()
    }


def _add_fingerprints(before: ContentFingerprint, change: ContentFingerprint) -> ContentFingerprint:
    return ContentFingerprint(before.rows + change.rows, before.checksum + change.checksum)
