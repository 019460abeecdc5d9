"""What is to be published: per tenant the tables that moved since they were, staged from the lake.

Rows that only changed a little are staged as the lake's log has them; whole tenants only where they are new, or where
the warehouse was published from another lake.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Table

from crm_pipeline.domain.batches import split_into_batches
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
from crm_pipeline.tables.projections import list_key_columns

PublicationStates = Mapping[tuple[str, str], PublicationState]
TenantChanges = Mapping[str, tuple[int, ContentFingerprint]]
"""Per tenant the rows that changed, and what they made of the content."""
MAX_PENDING_ROWS = 2_000_000
"""Rows staged at once; tenants are taken together up to this."""
RECOUNT_INTERVAL = timedelta(days=1)
"""Once published so long ago, a tenant's rows are counted anew: the log may have lost what was removed meanwhile."""


def find_pending_rows(
    run: RunContext, known: PublicationStates, table: Table, tenants: Sequence[str] | None
) -> dict[str, PendingRows]:
    """The rows of each tenant that has something to publish, in a view of the lake called as `lake_rows` says."""
    own = read_lake_id(run.lake, table)
    states = {t: state for (name, t), state in known.items() if name == table.name and state.lake_id == own}
    versions = find_newest_versions(run, table, tenants, states)
    moved = {t: v for t, v in versions.items() if t not in states or states[t].version != v}
    present = run.lake.current(run.con, table, tenants=tenants, name=lake_view_name(table))
    logged = {t: states[t] for t in moved if t in states} if _has_own_log(table) else {}
    changed = _create_change_tables(run, table, logged)
    counted = [t for t in moved if t not in changed or run.as_of - states[t].as_of >= RECOUNT_INTERVAL]
    found = (
        find_fingerprints(run.con, table, f"(from {present} where {_build_tenants_condition(table, counted)})")
        if counted
        else {}
    )
    whole = dict.fromkeys(counted, ContentFingerprint(0, 0)) | found
    return {
        tenant: PendingRows(
            table=table,
            relation=present,
            content=whole[tenant] if tenant in whole else _add_fingerprints(states[tenant].content, changed[tenant][1]),
            version=version,
            lake_id=own,
            changes=changes_table_name(table) if tenant in changed else None,
            moved=changed[tenant][0] if tenant in changed else 0,
        )
        for tenant, version in moved.items()
    }


def lake_view_name(table: Table) -> str:
    """What the view of a table's rows in the lake is called."""
    return f"lake_{table.name}"


def changes_table_name(table: Table) -> str:
    """What the temp table of the newest versions that are not published is called, shaped as `Rows.changes` says."""
    return f"changed_{table.name}"


def change_log_name(table: Table) -> str:
    """What the temp table of all versions that are not published is called, of tenants that are published at all."""
    return f"logged_{table.name}"


def build_pending_batches(
    run: RunContext, due: PendingByTenant, tenants: Sequence[str]
) -> Iterator[dict[str, list[PendingRows]]]:
    """What is due of the tenants, of many at once; rows that are needed whole are read for all of them together."""
    rows = Counter({t: sum(part.moved if part.changes else part.content.rows for part in due[t]) for t in tenants})
    for group in split_into_batches(sorted(tenants), rows, MAX_PENDING_ROWS):
        staged = _select_full_rows(run, due, group)
        yield {
            tenant: [part if part.changes else part._replace(relation=staged[part.table]) for part in due[tenant]]
            for tenant in group
        }


def _select_full_rows(run: RunContext, due: PendingByTenant, group: Sequence[str]) -> dict[Table, str]:
    """Per table of which somebody in the group needs every row, a relation of theirs; of several a temp table."""
    needed: dict[Table, list[str]] = defaultdict(list)
    for tenant in group:
        for rows in due[tenant]:
            if not rows.changes:
                needed[rows.table].append(tenant)
    several = {table: tenants for table, tenants in needed.items() if len(tenants) > 1}
    for table, tenants in several.items():
        query = f"select * from {lake_view_name(table)} where {_build_tenants_condition(table, tenants)}"
        run.con.execute(f"create or replace temp table rows_{table.name} as {query}")
    return {table: f"rows_{table.name}" if table in several else lake_view_name(table) for table in needed}


def find_newest_versions(
    run: RunContext, table: Table, tenants: Sequence[str] | None, states: Mapping[str, PublicationState]
) -> dict[str, int]:
    """The version of each tenant's newest row, -1 where there never was one; of no tenant's rows too for None.

    Where all tenants were published from this lake, no row is looked at that is older than what was.
    """
    versions = {tenant: states[tenant].version if tenant in states else -1 for tenant in tenants or ()}
    since = min(versions.values(), default=-1)
    # An older copy of the lake has less than was published, and is to be seen through.
    if max(versions.values(), default=-1) > run.lake.version(table):
        versions, since = dict.fromkeys(versions, -1), -1
    log = run.lake.log(run.con, table, after=since)
    found = run.con.sql(f"""
        select {tenant_id_sql(table)}, max(_version) from {log}
        where {build_tenant_condition(tenants)} group by 1""").fetchall()
    return versions | dict(found)


def _build_tenants_condition(table: Table, tenants: Sequence[str]) -> str:
    return f"{tenant_id_sql(table)} in ({', '.join(map(quote_literal, tenants))})"


def _has_own_log(table: Table) -> bool:
    """Whether a tenant's log says everything; a row that passes to another tenant leaves no trace in its first."""
    return "tenant_id" in list_key_columns(table)


def _create_change_tables(run: RunContext, table: Table, states: Mapping[str, PublicationState]) -> TenantChanges:
    """Stage what changed of these tenants since each was published, as `log_of` and `changes_of` say."""
    since = min((state.version for state in states.values()), default=run.lake.version(table))
    query = (
        "create or replace temp table states as select unnest($tenants) as tenant_id, unnest($versions) as published"
    )
    versions = [state.version for state in states.values()]
    run.con.execute(query, {"tenants": list(states), "versions": versions})
    run.con.execute(f"""
        create or replace temp table {change_log_name(table)} as
        select log.* from {run.lake.log(run.con, table, after=since)} log join states using (tenant_id)
        where _version > published""")
    run.con.execute(f"""
        create or replace temp table {changes_table_name(table)} as
        select *, _deleted as _is_removed from {change_log_name(table)}
        qualify row_number() over (partition by {", ".join(list_key_columns(table))} order by _version desc) = 1""")
    found = run.con.sql(f"""
        select tenant_id, moved, rows, checksum from (
            select tenant_id, sum(case when _deleted then -1 when _replaces is null then 1 else 0 end) as rows,
                sum(if(_deleted, 0, _row_hash)) - sum(coalesce(_replaces, 0)) as checksum
            from {change_log_name(table)} group by all
        ) join (select tenant_id, count(*) as moved from {changes_table_name(table)} group by all) using (tenant_id)""")
    return {
        tenant: (moved, ContentFingerprint(int(rows), int(checksum)))
        for tenant, moved, rows, checksum in found.fetchall()
    }


def _add_fingerprints(before: ContentFingerprint, change: ContentFingerprint) -> ContentFingerprint:
    return ContentFingerprint(before.rows + change.rows, before.checksum + change.checksum)
