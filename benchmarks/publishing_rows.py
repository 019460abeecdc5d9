"""Made-up profiles and timelines of many clubs, an hour later some of them changed, and their publication.

Used by `publishing` and `many_tenants`, which measure what publishing them costs.
"""

from datetime import UTC, datetime
from typing import Final

import duckdb
from sqlalchemy import Table

from crm_pipeline.resources.lake.rows import build_row_hash_sql
from crm_pipeline.resources.warehouse.publishing.publication_state import find_fingerprints
from crm_pipeline.resources.warehouse.publishing.publisher import Publisher
from crm_pipeline.resources.warehouse.publishing.table_publication import PendingRows
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.tables.projections import list_key_columns

SHARE_CHANGED: Final = 0.005
AS_OF: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
TABLES: Final = (customer_profiles, customer_timeline)
PROFILES: Final = """
    select 'club-' || lpad((i % {tenants})::varchar, 4, '0') as tenant_id, md5('p' || i)::uuid::varchar as id,
        'auth-' || i as auth_user_id, 'golfer' || i || '@club.example' as email,
        '+4420' || lpad(i::varchar, 8, '0') as phone_number, i as scl_member_id, 'tt-' || i as teetime_player_id,
        'msg-' || i as messaging_contact_id, 'First' || i % 997 as first_name, 'Last' || i % 7919 as last_name,
        'First' || i % 997 || ' Last' || i % 7919 as display_name, 'ACTIVE' as status, 'MEMBER' as lifecycle_stage,
        case i % 5 when 0 then ['captain', 'junior'] else [] end as tags, (i + {hour}) % 101 as engagement_score,
        i % 100 as churn_risk_score, 'RENEWAL' as churn_basis, i * 7 % 500000 as lifetime_value, 'GBP' as currency,
        i % 90000 as predicted_value_12m, timestamptz '2026-03-01' - to_minutes(i) as last_activity_at,
        i % 30 as activity_count_30d, i % 9 as booking_count_30d, (i % 540 / 10.0)::decimal(5, 1) as handicap,
        'home' as home_club_id, 'FULL' as membership_tier, 'ACTIVE' as membership_status, i % 2 = 0 as email_opt_in,
        i % 3 = 0 as sms_opt_in, false as push_opt_in, false as whatsapp_opt_in, 0.95 as identity_confidence,
        '{{"bookings": ' || i % 40 || ', "messages": ' || i % 20 || '}}' as engagement_reasons,
        '{{"horizon_days": 365}}' as churn_reasons,
        '{{"email": "SCL:' || i || '", "phone": "TEETIME:' || i || '"}}' as field_sources,
        timestamptz '2020-01-01' as first_seen_at, timestamptz '2026-03-31 12:00:00+00' as updated_at
    from range({rows}) t(i)"""
EVENTS: Final = """
    select 'club-' || lpad((p % {tenants})::varchar, 4, '0') as tenant_id, 'TEETIME:' || md5('e' || i) as event_id,
        md5('p' || p)::uuid::varchar as profile_id, timestamptz '2026-03-01' - to_minutes(i) as occurred_at,
        'TEETIME' as source, 'ROUND_PLAYED' as event_type, 'booking-' || i as service_record_id, 'ROUND' as counts_as,
        i % 9000 + {hour} as amount_cents, 'GBP' as currency, 'Played a round for 4 on the old course' as summary,
        '{{"course": "old", "players": 4, "booking": ' || i || '}}' as details,
        null::varchar as visit_kind, null::timestamptz as visit_at
    from (select i, i * 7919 % {people} as p from range({rows}) t(i))"""


def generate(con: duckdb.DuckDBPyConnection, tenants: int, profiles: int, events: int) -> None:
    """Make the rows of both tables, and those of an hour later with what changed until then."""
    for table, query, rows in ((customer_profiles, PROFILES, profiles), (customer_timeline, EVENTS, events)):
        made = [query.format(tenants=tenants, rows=rows, people=profiles, hour=hour) for hour in (0, 1)]
        name, hashed, keys = table.name, build_row_hash_sql(table), ", ".join(list_key_columns(table))
        con.execute(f"create table first_{name} as select *, {hashed} as _row_hash from ({made[0]}) order by tenant_id")
        # Of the rows that differ 7 in 10 are new, 2 changed and 1 is gone.
        con.execute(f"""
            create table {name}_changes as
            with fate as (select *, hash(_row_hash) % 100000 / 100000.0 as f from first_{name})
            select * exclude f, true as _is_removed from fate where f < {SHARE_CHANGED} * 0.1
            union all by name
            select later.*, false as _is_removed
            from (select *, {hashed} as _row_hash from ({made[1]})) later
            semi join (from fate where f between {SHARE_CHANGED} * 0.1 and {SHARE_CHANGED} * 0.3) using ({keys})
            union all by name
            select * exclude f replace ({_other_key(table)}), false as _is_removed from fate
            where f between {SHARE_CHANGED} * 0.3 and {SHARE_CHANGED}""")
        con.execute(f"""
            create table later_{name} as
            select * from first_{name} anti join {name}_changes using ({keys})
            union all by name select * exclude (_is_removed) from {name}_changes where not _is_removed""")


def _other_key(table: Table) -> str:
    if table is customer_profiles:
        return "md5(id || 'new')::uuid::varchar as id"
    return "event_id || 'new' as event_id"


def publish(con: duckdb.DuckDBPyConnection, publisher: Publisher, hour: str, version: int) -> int:
    """Publish every tenant; return the rows written."""
    found = {table: find_fingerprints(con, table, f"{hour}_{table.name}") for table in TABLES}
    written = 0
    for tenant in sorted(found[customer_profiles]):
        parts = [
            PendingRows(
                table,
                f"{hour}_{table.name}",
                found[table][tenant],
                version,
                "lake",
                f"{table.name}_changes" if version > 1 else None,
            )
            for table in TABLES
        ]
        written += sum(changes.total for changes in publisher.publish(tenant, parts).values())
    return written
