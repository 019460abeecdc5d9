"""Keeping what identity resolution found: four tables in four commits, which count together or not at all.

A run can be killed between two of them, and the next one, an hour later, must not take half of a state for a whole one:
an id would be born twice, or change without a word. So the lake keeps how far each table went when all four had been
kept, and before anything else a run takes back whatever goes beyond that.
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
# Profile ids are kept last: a tenant that has some is whole, though nobody came to note it.
_PARTIAL_COMMITS_QUERY: Final = f"""
    select distinct tenant_id from versions left join {_COMMITTED_VERSIONS} as whole using (tenant_id, table_name)
    where versions.version > coalesce(whole.version, -1)
        and (tenant_id in (select tenant_id from {_COMMITTED_VERSIONS})
            or tenant_id not in (select tenant_id from versions where table_name = '{profile_ids.name}'))
    order by tenant_id"""


def commit_identities(
    run: RunContext, tenants: Sequence[str], theirs: Mapping[Table, str] = ALL_ROWS
) -> dict[str, ChangeCounts]:
    """Make the tables, as far as they are `theirs`, equal to the relations of `FOUND`; former events stay."""
    changes = {}
    for table, relation in RESOLVED_RELATIONS.items():
        scope = f"event_id in (select event_id from {relation})" if table is profile_events else theirs[table]
        changes[table.name] = run.replace(table, relation, tenants, scope)
    _store_committed_versions(run, tenants)
    return changes


def roll_back_partial_commits(run: RunContext, tenants: Sequence[str]) -> list[str]:
    """Restore the tables of tenants whose last run ended before it had kept them all; return these tenants."""
    _find_newest_versions(run, tenants)
    run.lake.current(run.con, kept_identities, tenants=tenants)
    half_kept = [tenant for (tenant,) in run.con.sql(_PARTIAL_COMMITS_QUERY).fetchall()]
    for table in RESOLVED_RELATIONS if half_kept else ():
        log, key = run.lake.log(run.con, table), ", ".join(list_lake_key_columns(table))
        run.con.execute(f"""
            create or replace temp table whole_rows as
            select * from {log} left join (
                select tenant_id, version as _whole from {_COMMITTED_VERSIONS} where table_name = '{table.name}') using (tenant_id)
            where {build_tenant_condition(half_kept)} and _version <= coalesce(_whole, -1)
            qualify row_number() over (partition by {key} order by _version desc) = 1""")
        run.replace(table, "(from whole_rows where not _deleted)", half_kept)
    _store_committed_versions(run, tenants)
    return half_kept


def _store_committed_versions(run: RunContext, tenants: Sequence[str]) -> None:
    _find_newest_versions(run, tenants)
    run.replace(kept_identities, "versions", tenants)


def _find_newest_versions(run: RunContext, tenants: Sequence[str]) -> None:
    newest = " union all ".join(
        f"""select tenant_id, '{table.name}' as table_name, max(_version) as version
            from {run.lake.log(run.con, table)} where {build_tenant_condition(tenants)} group by tenant_id"""
        for table in RESOLVED_RELATIONS
    )
    run.con.execute(f"create or replace temp table versions as {newest}")
