"""The source rows that an incremental batch reads: those of some people, and single ones.

Temp table `needed_records` (tenant_id, service, record_id) has the people's records, `touched_profiles` the profiles
that rows name, and `stirred_rows` the single rows. Reads of each table relation `present_<lake name>`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.domain.timeline.events import PROFILE_TARGETS
from crm_pipeline.incremental.affected import SCORED, find_touched, find_touched_by_events, stir_rows_by_others
from crm_pipeline.incremental.dirty_rows import (
    IDENTITY_PLANS,
    SCORE_PLANS,
    TIMELINE_PLANS,
    find_stirred,
    find_stirred_rows,
    find_unsettled,
    is_any,
    looked_at,
)
from crm_pipeline.resources.lake.change_feed import find_changed
from crm_pipeline.run_context import Step
from crm_pipeline.tables import PEOPLE
from crm_pipeline.tables.outputs import identity, timeline
from crm_pipeline.tables.ownership import OF_SOMEBODY, own_column, owner_of
from crm_pipeline.tables.projections import duckdb_type, lake_name
from crm_pipeline.tables.sources import crm

IDENTIFYING: Final = {
    identity.customer_identities: ("tenant_id", "profile_id"),
    identity.profile_ids: ("tenant_id", "profile_id", "redirects_to"),
}
"""The tables that say whose rows are whose, and what is looked at of them."""
TIMELINE_INPUTS: Final = (*OF_SOMEBODY, *IDENTIFYING)
SCORE_INPUTS: Final = (*SCORED, *IDENTIFYING, timeline.customer_timeline)
"""The tables whose changes touch profiles' timelines, and their scores."""
DECISIVE: Final = (crm.tenant,)


def timeline_part(this: Step, tenants: list[str]) -> Step | None:
    """This step for the events to be told anew of these tenants, which are in `noted`; None if nothing stirred.

    They are those of temp tables `touched_profiles` and `stirred_rows`.
    """
    part = replace(this, tenants=tenants, only_needed=True)
    _find_changed(part, OF_SOMEBODY)
    find_unsettled(part.con, PEOPLE.values())
    find_stirred_rows(part.con, OF_SOMEBODY, TIMELINE_PLANS)
    _find_identities(part)
    find_touched(part.con)
    # A row can have been stirred that is nobody's, and has to be set aside.
    if not is_any(part.con, "stirred", "stirred_rows", "touched_profiles"):
        return None
    need_touched(part.con)
    stir_rows_by_others(part.con)
    find_needed_rows(part.con, OF_SOMEBODY)
    return part


def score_part(this: Step, tenants: list[str]) -> Step:
    """This step for whose scores the hour touched; whom they brought, and count for it, is in `counted_profiles`."""
    part = replace(this, tenants=tenants, only_needed=True)
    _find_changed(part, SCORED)
    find_stirred(part.con, SCORED, SCORE_PLANS)
    _find_identities(part)
    find_touched(part.con)
    part.lake.current(part.con, timeline.customer_timeline, tenants=tenants)
    find_changed(part.lake, part.con, timeline.customer_timeline, ("tenant_id", "profile_id"), "noted")
    find_touched_by_events(part.con)
    need_touched(part.con)
    find_rows_of_needed(part.con, SCORED)
    return part


def find_stirred_records(part: Step) -> bool:
    """Create temp table `stirred` of people's records, from which resolving starts; return whether there are any."""
    _find_changed(part, tuple(PEOPLE.values()))
    find_stirred(part.con, PEOPLE.values(), IDENTITY_PLANS)
    return is_any(part.con, "stirred")


def judging_part(this: Step, tenants: list[str], tables: Sequence[Table]) -> Step | None:
    """This step for the rows of a service to be judged again: the stirred, and all of unsettled people; or None."""
    part = replace(this, tenants=tenants, only_needed=True)
    _find_changed(part, tables)
    find_unsettled(part.con, set(tables) & set(PEOPLE.values()))
    find_stirred_rows(part.con, set(tables) & set(OF_SOMEBODY), {})
    if not is_any(part.con, "stirred", "stirred_rows"):
        return None
    need_stirred(part.con)
    find_needed_rows(part.con, tables)
    return part


def _find_changed(part: Step, tables: Sequence[Table]) -> None:
    for table in tables:
        part.lake.current(part.con, table, tenants=part.tenants, name=f"present_{lake_name(table)}")
        find_changed(part.lake, part.con, table, looked_at(table), "noted")


def _find_identities(part: Step) -> None:
    for table, columns in IDENTIFYING.items():
        part.lake.current(part.con, table, tenants=part.tenants)
        find_changed(part.lake, part.con, table, columns, "noted")
    part.con.execute(PROFILE_TARGETS)


def need_stirred(con: DuckDBPyConnection) -> None:
    """Create temp table `needed_records`: the stirred people's."""
    con.execute("create or replace temp table needed_records as from stirred")


def need_touched(con: DuckDBPyConnection) -> None:
    """Create temp table `needed_records`: those of the touched profiles, as customer_identities has them."""
    con.execute("""
        create or replace temp table needed_records as
        select tenant_id, service, service_record_id as record_id
        from customer_identities semi join touched_profiles using (tenant_id, profile_id)""")


def find_rows_of_needed(con: DuckDBPyConnection, tables: Iterable[Table]) -> None:
    """Create temp tables `needed_<lake name>`: of each table the rows of needed records and touched profiles."""
    for table in tables:
        _keep_rows_of(con, table, _owners(table))


def find_needed_rows(con: DuckDBPyConnection, tables: Sequence[Table]) -> None:
    """Create temp tables `needed_<lake name>`: the same, and the stirred rows with the people they are of.

    A row without an id is always needed: nothing tells it from others. Reads `noted` besides.
    """
    people = [table for table in tables if table in PEOPLE.values()]
    others = [table for table in tables if table not in people]
    for table in others:
        _keep_single_rows(con, table)
    for table in people:
        of_rows = (
            f"select tenant_id, {own_column(rows).key} as id from needed_{lake_name(rows)}"
            for rows in others
            if owner_of(rows) == owner_of(table)
        )
        _keep_rows_of(con, table, " union ".join((_owners(table), _stirred_of(table), *of_rows)))


def _keep_single_rows(con: DuckDBPyConnection, table: Table) -> None:
    """Of a table of which rows are needed for themselves too: nearly all are new, and those before seldom read."""
    name, own = lake_name(table), own_column(table).key
    [(least,)] = con.sql(f"select min({name}) from noted").fetchall()
    is_new = f"_version > {least}"
    is_owned = f"(tenant_id, {own}) in (select (tenant_id, {own}) from ({_owners(table)}))"
    con.execute(f"""
        create or replace temp table needed_{name} as
        from present_{name} where id is null
        union all
        from present_{name} where {is_new} and id is not null
            and ({is_owned} or (tenant_id, id) in (select (tenant_id, id) from ({_stirred_of(table)})))""")
    con.execute(f"""
        create or replace temp table older as
        {_stirred_of(table)} except select tenant_id, id from needed_{name}""")
    if is_any(con, "older", f"({_owners(table)})"):
        con.execute(f"""
            insert into needed_{name} from present_{name} where not {is_new} and id is not null
            and ({is_owned} or (tenant_id, id) in (select (tenant_id, id) from older))""")


def _keep_rows_of(con: DuckDBPyConnection, table: Table, owners: str) -> None:
    con.execute(f"""
        create or replace temp table needed_{lake_name(table)} as
        from present_{lake_name(table)} semi join ({owners}) using (tenant_id, {own_column(table).key})""")


def _stirred_of(table: Table) -> str:
    """A query of tenant_id and id of the table's stirred rows."""
    return f"""
        select tenant_id, cast(record_id as {duckdb_type(table.c.id)}) as id
        from stirred_rows where table_name = '{table.name}'"""


def _owners(table: Table) -> str:
    """A query of tenant_id and own column: the needed records or touched profiles that rows of the table can be of."""
    own = own_column(table)
    if service := owner_of(table):
        return f"""
            select tenant_id, try_cast(record_id as {duckdb_type(own)}) as {own.key}
            from needed_records where service = '{service}'"""
    return f"""
        select p.tenant_id, p.profile_id as {own.key} from profile_targets p
        semi join touched_profiles t on t.tenant_id = p.tenant_id and t.profile_id = p.target"""
