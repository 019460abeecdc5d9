"""Freshness: which hour a club's tables and its services' snapshots speak of, and why not a later one.

The queries are PostgreSQL's, and its views `tenant_freshness` and `service_freshness` are made of them. The hour that
tables speak of never makes a club late, since a run can be as of any hour; the time since its last refresh does.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from crm_pipeline.tables.outputs.operations import publications, tenant_refreshes
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.vocabulary import Service, SnapshotState, TenantState, TenantStatus

LATE_AFTER: Final = timedelta(hours=2)
"""How long after its last refresh a club is late: one missed hour is forgiven."""
TENANT_CONDITIONS: Final[Mapping[TenantState, str]] = {
    TenantState.CLOSED: f"status = '{TenantStatus.CLOSED}'",
    TenantState.NEVER_PUBLISHED: "as_of is null",
    TenantState.STUCK: "unpublished_reason is not null",
    TenantState.LATE: "is_late",
    TenantState.FRESH: "true",
}
"""The first condition that holds gives the state."""
SNAPSHOT_CONDITIONS: Final[Mapping[SnapshotState, str]] = {
    SnapshotState.NEVER_READ: "as_of is null",
    SnapshotState.FAILED: "as_of < refresh_as_of",
    SnapshotState.LATE: "is_late",
    SnapshotState.FRESH: "true",
}


def _format_hour_sql(column: str) -> str:
    return f"to_char({column} at time zone 'UTC', 'YYYY-MM-DD HH24:MI \"UTC\"')"


TENANT_REASONS: Final[Mapping[TenantState, str]] = {
    TenantState.CLOSED: "'Closed in the CRM: what was published last stays.'",
    TenantState.NEVER_PUBLISHED: (
        "concat('Nothing has been published: ', coalesce(unpublished_reason, 'the next refresh does it'))"
    ),
    TenantState.STUCK: f"concat('The tables keep ', {_format_hour_sql('as_of')}, ': ', unpublished_reason)",
    TenantState.LATE: f"concat('No refresh since ', {_format_hour_sql('refreshed_at')}, '.')",
    TenantState.FRESH: "'Published by the last refresh.'",
}
"""SQL of the reason in words. That of a fresh club is the same every hour."""
SNAPSHOT_REASONS: Final[Mapping[SnapshotState, str]] = {
    SnapshotState.NEVER_READ: "'Never read.'",
    SnapshotState.FAILED: f"concat('Not read since ', {_format_hour_sql('as_of')}, ': its last snapshot serves.')",
    SnapshotState.LATE: f"concat('No refresh since ', {_format_hour_sql('refreshed_at')}, '.')",
    SnapshotState.FRESH: "'Read by the last refresh.'",
}


def build_tenant_freshness_query(clock: str) -> str:
    """Returns the query of every club's state and reason; `clock` is SQL of the present time.

    Columns: as view tenant_freshness declares.
    Reads: crm.tenant_refreshes, crm.publications.
    """
    return f"""
        select tenant_id, state, {_build_words_sql(TENANT_REASONS)} as reason, as_of,
            published_at, refreshed_at, status, profiles, timeline_events
        from (
            select facts.*, {_build_state_sql(TENANT_CONDITIONS)} as state
            from (
                select r.tenant_id, r.status, r.unpublished_reason, r.refreshed_at, p.as_of, p.published_at, p.profiles,
                    p.timeline_events, {_build_late_sql(clock)} as is_late
                from {tenant_refreshes} r
                left join (
                    select tenant_id, max(as_of) as as_of, max(published_at) as published_at,
                        max(rows) filter (where table_name = '{customer_profiles.name}') as profiles,
                        max(rows) filter (where table_name = '{customer_timeline.name}') as timeline_events
                    from {publications}
                    where table_name in ('{customer_profiles.name}', '{customer_timeline.name}')
                    group by tenant_id) p on p.tenant_id = r.tenant_id) facts) states"""


def build_service_freshness_query(clock: str) -> str:
    """Returns the query of every club's snapshot of every service; `clock` is SQL of the present time.

    Columns: as view service_freshness declares.
    Reads: crm.tenant_refreshes, crm.publications.
    """
    services = ", ".join(f"('{service}')" for service in Service)
    return f"""
        select tenant_id, service, state, {_build_words_sql(SNAPSHOT_REASONS)} as reason, as_of, rows
        from (
            select facts.*, {_build_state_sql(SNAPSHOT_CONDITIONS)} as state
            from (
                select r.tenant_id, s.service, r.refreshed_at, r.as_of as refresh_as_of, p.as_of, p.rows,
                    {_build_late_sql(clock)} as is_late
                from {tenant_refreshes} r
                cross join (values {services}) s (service)
                left join {publications} p
                    on p.tenant_id = r.tenant_id and p.table_name = s.service || '.snapshot') facts) states"""


def _build_late_sql(clock: str) -> str:
    return f"r.refreshed_at < {clock} - interval '{LATE_AFTER.total_seconds():.0f} seconds'"


def _build_state_sql(conditions: Mapping[TenantState, str] | Mapping[SnapshotState, str]) -> str:
    cases = " ".join(f"when {condition} then '{state}'" for state, condition in conditions.items())
    return f"case {cases} end"


def _build_words_sql(reasons: Mapping[TenantState, str] | Mapping[SnapshotState, str]) -> str:
    cases = " ".join(f"when '{state}' then {words}" for state, words in reasons.items())
    return f"case state {cases} end"
