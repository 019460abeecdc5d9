"""Changes of lifecycle stage: found by comparing profiles with the ones kept before, told as timeline events.

Which stage a profile is in is decided by facts alone, in `facts.sql`.
"""

from duckdb import DuckDBPyConnection

STAGE_CHANGES = """
    create or replace temp table stage_changes as
    select p.tenant_id, 'CRM:CustomerProfile:' || p.id || ':STAGE_CHANGED:' || epoch_us(as_of()) as event_id,
        p.id as profile_id, as_of() as occurred_at, 'CRM' as source, 'STAGE_CHANGED' as event_type,
        p.id as service_record_id, null as counts_as, null as amount_cents, null as currency,
        'Stage changed from ' || before.lifecycle_stage || ' to ' || p.lifecycle_stage as summary,
        cast(to_json({from_stage: before.lifecycle_stage, to_stage: p.lifecycle_stage}) as varchar) as details
    from profiles p
    join customer_profiles before on before.tenant_id = p.tenant_id and before.id = p.id
    where before.lifecycle_stage <> p.lifecycle_stage"""


def find_stage_changes(con: DuckDBPyConnection) -> dict[str, int]:
    """Create temp table `stage_changes`: timeline rows for `profiles` in another stage than customer_profiles has.

    A profile's first stage is no change. Returns how often each transition happened, as `FROM > TO`.
    """
    con.execute(STAGE_CHANGES)
    rows = con.sql("""
        select details ->> 'from_stage' || ' > ' || (details ->> 'to_stage'), count(*)
        from stage_changes group by all order by 1""").fetchall()
    return dict(rows)
