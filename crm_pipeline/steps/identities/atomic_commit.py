"""The atomic commit of the four identity tables: four lake commits that count together or not at all.

A run can be killed between two commits. The next run must not resolve from a partial state: an id could be created
twice, or change without an event. So table kept_identities has each table's version after the last complete commit, and
every run first rolls back newer versions.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Table

from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.resources.lake.rows import build_tenant_condition, list_lake_key_columns
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.identities.resolution import ALL_ROWS, RESOLVED_RELATIONS
from crm_pipeline.tables.outputs.identity import kept_identities, profile_events, profile_ids
from crm_pipeline.tables.projections import to_lake_name

_COMMITTED_VERSIONS: Final = to_lake_name(kept_identities)
# Profile ids are stored last: a first commit with profile ids is complete, even if its versions were not stored.
_PARTIAL_COMMITS_QUERY: Final = f"""
    select distinct tenant_id
    from table_versions left join {_COMMITTED_VERSIONS} as committed using (tenant_id, table_name)
    where table_versions.version > coalesce(committed.version, -1)
        and (tenant_id in (select tenant_id from {_COMMITTED_VERSIONS})
            or tenant_id not in (select tenant_id from table_versions where table_name = '{profile_ids.name}'))
    order by tenant_id"""


def commit_identities(
    run: RunContext, tenants: Sequence[str], conditions: Mapping[Table, str] = ALL_ROWS
) -> dict[str, ChangeCounts]:
    """Makes the identity tables, where their `conditions` hold, equal to RESOLVED_RELATIONS; returns changes per table.

    Stored profile events of earlier runs stay.
    """
    changes = {}
    for table, relation in RESOLVED_RELATIONS.items():
        is_new_event = f"event_id in (select event_id from {relation})"
        condition = is_new_event if table is profile_events else conditions[table]
        changes[table.name] = run.replace(table, relation, tenants, condition)
    _store_committed_versions(run, tenants)
    return changes


def roll_back_partial_commits(run: RunContext, tenants: Sequence[str]) -> list[str]:
    """Rolls back the identity tables of tenants with a partial commit; returns these tenants."""
    _find_newest_versions(run, tenants)
    run.lake.create_current_view(run.con, kept_identities, tenants=tenants)
    rolled_back_tenants = [tenant for (tenant,) in run.con.sql(_PARTIAL_COMMITS_QUERY).fetchall()]
    for table in RESOLVED_RELATIONS if rolled_back_tenants else ():
        log, key = run.lake.create_log_view(run.con, table), ", ".join(list_lake_key_columns(table))
        run.con.execute(f"""
            create or replace temp table committed_rows as
            select * from {log} left join (
                select tenant_id, version as _committed_version from {_COMMITTED_VERSIONS}
                where table_name = '{table.name}') using (tenant_id)
            where {build_tenant_condition(rolled_back_tenants)} and _version <= coalesce(_committed_version, -1)
            qualify row_number() over (partition by {key} order by _version desc) = 1""")
        run.replace(table, "(from committed_rows where not _deleted)", rolled_back_tenants)
    _store_committed_versions(run, tenants)
    return rolled_back_tenants


def _store_committed_versions(run: RunContext, tenants: Sequence[str]) -> None:
    _find_newest_versions(run, tenants)
    run.replace(kept_identities, "table_versions", tenants)


def _find_newest_versions(run: RunContext, tenants: Sequence[str]) -> None:
    newest_versions = " union all ".join(
        f"""select tenant_id, '{table.name}' as table_name, max(_version) as version
            from {run.lake.create_log_view(run.con, table)}
            where {build_tenant_condition(tenants)} group by tenant_id"""
        for table in RESOLVED_RELATIONS
    )
    run.con.execute(f"create or replace temp table table_versions as {newest_versions}")
