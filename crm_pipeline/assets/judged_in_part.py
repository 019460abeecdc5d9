"""Tenants judged by what moved of them: who was judged whole today, had nothing wrong, and moved a little since.

Nothing is kept of it. Whoever turns out to break something is judged whole, and what is kept is of that.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from crm_pipeline.assets.compared import GIVEN, judge_agreements
from crm_pipeline.assets.staging import changes_of, log_of
from crm_pipeline.assets.step import Step
from crm_pipeline.checks.suites import TABLE_SUITES
from crm_pipeline.checks.validation import judge_rows
from crm_pipeline.domain.ingest import row_validation
from crm_pipeline.resources.lake.rows import replaced, tenant_filter
from crm_pipeline.resources.warehouse.publishing.table_publication import Due
from crm_pipeline.tables import PEOPLE
from crm_pipeline.tables.outputs import identity, operations, profiles, timeline
from crm_pipeline.tables.projections import lake_name
from crm_pipeline.tables.sources import scl
from crm_pipeline.vocabulary import Service

MOST_MOVED: Final = 0.1
"""Of a table's rows. Where more moved, the numbers may be unusual too, which only a whole judgement sees."""
PROFILE_OF: Final = {
    profiles.customer_profiles: "id",
    timeline.customer_timeline: "profile_id",
    identity.customer_identities: "profile_id",
}
"""The compared tables, and the column that says whose a row is."""
RECORD_OF: Final = {table: (service, "id") for service, table in PEOPLE.items()} | {
    scl.payment: (Service.SCL, "member_id")
}
"""The services' tables they are compared with, and the service and column of the record a row is about."""
RECORD: Final = "tenant_id, service, service_record_id"


def little_moved(due: Due, tenants: Sequence[str]) -> list[str]:
    """Which of the tenants moved, and only a little, in the tables that are judged or compared."""

    def is_little(tenant: str) -> bool:
        parts = [rows for rows in due[tenant] if rows.table in PROFILE_OF]
        return all(rows.changes and rows.moved <= MOST_MOVED * rows.content.rows for rows in parts)

    return [tenant for tenant in tenants if tenant in due and is_little(tenant)]


def broken_in_part(this: Step, due: Due, tenants: Sequence[str]) -> set[str]:
    """Which of these tenants break an expectation in rows that changed, or an agreement in profiles that moved."""
    if not tenants:
        return set()
    verdicts = []
    for table, suite in TABLE_SUITES.items():
        moved = [tenant for tenant in tenants if any(rows.table is table for rows in due[tenant])]
        verdicts += judge_rows(this.con, suite, f"(from {changes_of(table)} where not _is_gone)", moved)
    part = replace(this, tenants=tenants)
    _find_moved(part)
    _give_moved(part)
    verdicts += judge_agreements(part, tenants)
    return {verdict.tenant_id for verdict in verdicts if not verdict.success}


def _find_moved(part: Step) -> None:
    """Create temp tables `moved_records`, since the last whole judgement, and `moved_profiles`, since the publication.

    Whoever a changed row was about before has moved as well. A result that came out as before keeps its older hour.
    """
    of_tenants = tenant_filter(part.tenants)
    kept = part.lake.current(part.con, operations.data_quality_results, tenants=part.tenants, name="kept_results")
    part.con.execute(f"""
        create or replace temp table judged_whole as
        select tenant_id, max(checked_at) as judged_at from {kept} group by tenant_id""")
    changed = [
        f"""select tenant_id, '{service}' as service, cast({column} as varchar) as service_record_id
            from {part.lake.log(part.con, table)} join judged_whole using (tenant_id)
            where _known_at >= '{part.as_of:%Y-%m-%d}T00:00:00Z'::timestamptz
                and (_known_at > judged_at or _known_at = as_of())"""
        for table, (service, column) in RECORD_OF.items()
    ]
    part.con.execute(f"create or replace temp table moved_records as select distinct * from ({_union(changed)})")
    linked = part.lake.current(part.con, identity.customer_identities, tenants=part.tenants, name="linked")
    moved = [f"select tenant_id, profile_id as id from {linked} semi join moved_records using ({RECORD})"]
    for table, column in PROFILE_OF.items():
        moved += [
            f"select tenant_id, {column} as id from {log_of(table)} where {of_tenants}",
            f"""select tenant_id, {column} as id from ({replaced(part.lake.log(part.con, table), log_of(table))})
                where {of_tenants}""",
        ]
    part.con.execute(f"create or replace temp table moved_profiles as select distinct * from ({_union(moved)})")


def _give_moved(part: Step) -> None:
    """Create what `judge_agreements` reads, of no more than these profiles and the records that are theirs or moved."""
    for name, table in GIVEN.items():
        if column := PROFILE_OF.get(table):
            whole = part.lake.current(part.con, table, tenants=part.tenants, name=f"whole_{table.name}")
            part.con.execute(f"""
                create or replace temp view {name} as
                from {whole} w semi join moved_profiles m on m.id = w.{column}""")
    part.con.execute(f"insert into moved_records select {RECORD} from given_identities")
    for table, (service, column) in RECORD_OF.items():
        name = lake_name(table)
        present = part.lake.current(part.con, table, tenants=part.tenants, name=f"present_{name}")
        part.con.execute(f"""
            create or replace temp view moved_{name} as
            from {present} p semi join moved_records m
            on m.service = '{service}' and m.tenant_id = p.tenant_id
                and m.service_record_id = cast(p.{column} as varchar)""")
        row_validation.judge_rows(part.con, table, f"moved_{name}", part.as_of)


def _union(queries: Sequence[str]) -> str:
    return " union all ".join(queries)
