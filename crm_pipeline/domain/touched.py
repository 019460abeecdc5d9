"""Whom an hour touches: the profiles whose scores, or all of whose events, can have changed since they were computed.

A profile is touched by its rows that were `stirred`, by what identity resolution changed, and by what it counts of
others. Touching too many costs time, and none may be left out. Here: who is
touched. Not here: single events of people who are as they were (`retold`), and days, which touch everybody.

Reads `noted`, `changed_<lake name>` and `present_<lake name>` as `stirred` does.
"""

from typing import Final

from duckdb import DuckDBPyConnection

from crm_pipeline.tables import PEOPLE
from crm_pipeline.tables.sources import crm, scl

SCORED: Final = (*PEOPLE.values(), scl.payment, crm.profile_tag)
"""The source tables that scores are made of, besides events."""
IS_TOUCHED: Final = "profile_id in (select profile_id from touched_profiles)"
"""A condition on rows of profiles; no two clubs have an id in common, and ids that never were are in no list."""
TOUCHED: Final = """
    create or replace temp table touched_profiles as
    with met as (
        select tenant_id, profile_id from customer_identities
        semi join stirred on stirred.tenant_id = customer_identities.tenant_id
            and stirred.service = customer_identities.service and stirred.record_id = service_record_id
        union select tenant_id, record_id from stirred where service = ''
        union select tenant_id, profile_id from changed_customer_identities
        union select tenant_id, profile_id from changed_profile_ids
        union select tenant_id, redirects_to from changed_profile_ids where redirects_to is not null
    )
    select tenant_id, profile_id from (
        from met union select tenant_id, target from met join profile_targets using (tenant_id, profile_id))
    semi join profile_ids using (tenant_id, profile_id)"""

TOUCHED_BY_EVENTS: Final = """
    insert into touched_profiles
    select tenant_id, profile_id from changed_customer_timeline
    union
    select t.tenant_id, profile_id from customer_timeline t join noted using (tenant_id)
    where counts_as is not null and occurred_at > worked_at - recent() and occurred_at <= as_of() - recent()"""
REFERRALS: Final = """
    create or replace temp table referrals as
    select *, details ->> 'referred_profile_id' as referred_profile_id
    from customer_timeline where event_type = 'REFERRAL'"""
REFERRERS: Final = """
    insert into touched_profiles
    select tenant_id, profile_id from referrals
    where referred_profile_id in (select profile_id from touched_profiles)"""
REFERRED: Final = f"""
    create or replace temp table counted_profiles as
    from touched_profiles union
    select tenant_id, referred_profile_id from referrals where {IS_TOUCHED}"""


def find_touched(con: DuckDBPyConnection) -> None:
    """Create temp table `touched_profiles` (tenant_id, profile_id): whose records were stirred or are others now.

    Reads `stirred`, customer_identities, its changed rows and those of profile_ids, and profile_targets.
    """
    con.execute(TOUCHED)


def find_touched_by_events(con: DuckDBPyConnection) -> None:
    """Add to `touched_profiles` whose scores can be others for what is, or no longer is, on a timeline.

    Creates `counted_profiles` too, those and whom they referred, and `referrals`, the events that say so. Reads
    customer_timeline and its changed rows.
    """
    con.execute(TOUCHED_BY_EVENTS)
    con.execute(REFERRALS)
    con.execute(REFERRERS)
    con.execute(REFERRED)
