"""Keeping what identity resolution found: four tables in four commits, which count together or not at all.

A run can be killed between two of them, and the next one, an hour later, must not take half of a state for a whole one:
an id would be born twice, or change without a word. So the lake keeps how far each table went when all four had been
kept, and before anything else a run takes back whatever goes beyond that.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Table

from crm_pipeline.resources.lake.lake import Changes
from crm_pipeline.resources.lake.rows import lake_key, tenant_filter
from crm_pipeline.run_context import Step
from crm_pipeline.steps.identities.resolution import EVERYBODYS, FOUND
from crm_pipeline.tables.outputs.identity import kept_identities, profile_events, profile_ids
from crm_pipeline.tables.projections import lake_name

_KEPT: Final = lake_name(kept_identities)
# Profile ids are kept last: a tenant that has some is whole, though nobody came to note it.
_HALF_KEPT: Final = f"""
    select distinct tenant_id from versions left join {_KEPT} as whole using (tenant_id, table_name)
    where versions.version > coalesce(whole.version, -1)
        and (tenant_id in (select tenant_id from {_KEPT})
            or tenant_id not in (select tenant_id from versions where table_name = '{profile_ids.name}'))
    order by tenant_id"""


def keep_identities(this: Step, tenants: Sequence[str], theirs: Mapping[Table, str] = EVERYBODYS) -> dict[str, Changes]:
    """Make the tables, as far as they are `theirs`, equal to the relations of `FOUND`; former events stay."""
    changes = {}
    for table, relation in FOUND.items():
        scope = f"event_id in (select event_id from {relation})" if table is profile_events else theirs[table]
        changes[table.name] = this.replace(table, relation, tenants, scope)
    _note_whole(this, tenants)
    return changes


def take_back_half_kept(this: Step, tenants: Sequence[str]) -> list[str]:
    """Restore the tables of tenants whose last run ended before it had kept them all; return these tenants."""
    _find_versions(this, tenants)
    this.lake.current(this.con, kept_identities, tenants=tenants)
    half_kept = [tenant for (tenant,) in this.con.sql(_HALF_KEPT).fetchall()]
    for table in FOUND if half_kept else ():
        log, key = this.lake.log(this.con, table), ", ".join(lake_key(table))
        this.con.execute(f"""
            create or replace temp table whole_rows as
            select * from {log} left join (
                select tenant_id, version as _whole from {_KEPT} where table_name = '{table.name}') using (tenant_id)
            where {tenant_filter(half_kept)} and _version <= coalesce(_whole, -1)
            qualify row_number() over (partition by {key} order by _version desc) = 1""")
        this.replace(table, "(from whole_rows where not _deleted)", half_kept)
    _note_whole(this, tenants)
    return half_kept


def _note_whole(this: Step, tenants: Sequence[str]) -> None:
    _find_versions(this, tenants)
    this.replace(kept_identities, "versions", tenants)


def _find_versions(this: Step, tenants: Sequence[str]) -> None:
    newest = " union all ".join(
        f"""select tenant_id, '{table.name}' as table_name, max(_version) as version
            from {this.lake.log(this.con, table)} where {tenant_filter(tenants)} group by tenant_id"""
        for table in FOUND
    )
    this.con.execute(f"create or replace temp table versions as {newest}")
