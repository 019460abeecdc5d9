"""Whom an hour touches: the profiles whose events or scores can have changed since they were last computed.

A profile is touched by its rows, new, changed, gone, or reaching a time from which they mean something else; by what
identity resolution changed; and by what it counts of others. Touching too many costs time, and none may be left out.
Here: who is touched, and whose rows are needed for that. Not here: days, which touch everybody.

Relation `noted` has tenant_id and worked_at, the hour up to which the tenant's profiles are what they should be. For
each table read, `changed_<lake name>` has what rows changed since then say and what they said before, and
`present_<lake name>` all rows.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from duckdb import DuckDBPyConnection
from sqlalchemy import Column, Table

from crm_pipeline.domain.records import PROFILE
from crm_pipeline.tables import PEOPLE, crm, scl, teetime
from crm_pipeline.tables.columns import service_of, sources
from crm_pipeline.tables.projections import duckdb_type, lake_name

WINDOW: Final = "interval 720 hours"
OF_SOMEBODY: Final = tuple(
    table
    for table in sources.tables.values()
    if table in PEOPLE.values() or any(column.info.get("references") for column in table.columns)
)
"""The source tables whose rows are somebody's; all of them make timelines."""
SCORED: Final = (*PEOPLE.values(), scl.payment, crm.profile_tag)
"""Those that scores are made of besides."""
Plans = Mapping[Column[Any], str]
"""Times that were planned, with the condition under which their coming is of any matter."""
TIMELINE_PLANS: Final[Plans] = MappingProxyType(
    {teetime.booking.c.tee_time_at: "status in ('PLAYED', 'NO_SHOW')", teetime.competition_entry.c.played_at: "true"}
)
SCORE_PLANS: Final[Plans] = MappingProxyType(
    {scl.member.c.ended_at: "true", scl.payment.c.due_at: "status <> 'SETTLED'"}
)
IDENTITY_PLANS: Final[Plans] = MappingProxyType({scl.member.c.ended_at: "true"})

IS_TOUCHED: Final = "profile_id in (select profile_id from touched_profiles)"
"""A condition on rows of profiles; no two clubs have an id in common, and ids that never were are in no list."""
STIRRED_BY_OTHERS: Final = (
    """insert into stirred select b.tenant_id, 'TEETIME', player_id from present_teetime_booking b
    where (b.tenant_id, b.id) in (select (tenant_id, booking_id) from changed_scl_payment)""",
    """insert into stirred select r.tenant_id, '', referrer_profile_id from present_crm_referral r
    semi join changed_profile_ids c on c.tenant_id = r.tenant_id and c.profile_id = r.referred_profile_id""",
)
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

TOUCHED_BY_EVENTS: Final = f"""
    insert into touched_profiles
    select tenant_id, profile_id from changed_customer_timeline
    union
    select t.tenant_id, profile_id from customer_timeline t join noted using (tenant_id)
    where counts_as is not null and occurred_at > worked_at - {WINDOW} and occurred_at <= as_of() - {WINDOW}"""
REFERRERS: Final = """
    insert into touched_profiles
    select t.tenant_id, profile_id from customer_timeline t
    where event_type = 'REFERRAL'
        and details ->> 'referred_profile_id' in (select profile_id from touched_profiles)"""
REFERRED: Final = """
    create or replace temp table counted_profiles as
    from touched_profiles union
    select tenant_id, details ->> 'referred_profile_id' from customer_timeline
    where event_type = 'REFERRAL' and profile_id in (select profile_id from touched_profiles)"""

NEEDED: Final = """
    create or replace temp table needed_records as
    select tenant_id, service, service_record_id as record_id
    from customer_identities semi join touched_profiles using (tenant_id, profile_id)"""
SETTLERS: Final = """
    insert into needed_records
    select p.tenant_id, 'SCL', cast(member_id as varchar) from present_scl_payment p
    where (p.tenant_id, booking_id) in (
        select (b.tenant_id, b.id) from present_teetime_booking b
        semi join needed_records n
            on n.tenant_id = b.tenant_id and n.service = 'TEETIME' and n.record_id = b.player_id)"""


def looked_at(table: Table) -> tuple[str, ...]:
    """The columns of `changed_<lake name>` that are looked at: which row, whose it is, and the booking it settles."""
    own = own_column(table)
    return tuple(dict.fromkeys(("tenant_id", "id", own.key, *(["booking_id"] if table is scl.payment else []))))


def find_stirred(con: DuckDBPyConnection, tables: Iterable[Table], planned: Plans) -> None:
    """Create temp table `stirred` (tenant_id, service, record_id): whose rows of these tables changed or came of time.

    Of a row that names a profile the service is empty, and the id the profile's.
    """
    (least,) = con.sql("select min(worked_at) from noted").fetchall()[0]
    since = f"'{least.isoformat()}'::timestamptz"
    con.execute("create or replace temp table stirred (tenant_id varchar, service varchar, record_id varchar)")
    for table in tables:
        for whose in _stirred(con, table, since, planned):
            con.execute(f"insert into stirred {whose}")


def stir_by_others(con: DuckDBPyConnection) -> None:
    """Add to `stirred` whose bookings somebody settles, or no longer does, and who referred somebody with a new id."""
    for query in STIRRED_BY_OTHERS:
        con.execute(query)


def find_touched(con: DuckDBPyConnection) -> None:
    """Create temp table `touched_profiles` (tenant_id, profile_id): whose records were stirred or are others now.

    Reads `stirred`, customer_identities, its changed rows and those of profile_ids, and profile_targets.
    """
    con.execute(TOUCHED)


def find_touched_by_events(con: DuckDBPyConnection) -> None:
    """Add to `touched_profiles` whose scores can be others for what is, or no longer is, on a timeline.

    Creates `counted_profiles` too: those and whom they referred. Reads customer_timeline and its changed rows.
    """
    con.execute(TOUCHED_BY_EVENTS)
    con.execute(REFERRERS)
    con.execute(REFERRED)


def find_needed(con: DuckDBPyConnection, *, with_settlers: bool) -> None:
    """Create temp table `needed_records`: the touched profiles' records, and who settled bookings of theirs."""
    con.execute(NEEDED)
    if with_settlers:
        con.execute(SETTLERS)


def only_needed(con: DuckDBPyConnection, table: Table, present: str) -> str:
    """Create temp table `needed_<lake name>`: of relation `present` the rows of needed records and touched profiles."""
    if table not in OF_SOMEBODY:
        return present
    own, name = own_column(table), f"needed_{lake_name(table)}"
    theirs = f"""
        select tenant_id, try_cast(record_id as {duckdb_type(own)}) as {own.key}
        from needed_records where service = '{service_of(table)}'"""
    if own.info.get("references") == PROFILE:
        theirs = f"""
            select p.tenant_id, p.profile_id as {own.key} from profile_targets p
            semi join touched_profiles t on t.tenant_id = p.tenant_id and t.profile_id = p.target"""
    con.execute(
        f"create or replace temp table {name} as from {present} semi join ({theirs}) using (tenant_id, {own.key})"
    )
    return name


def own_column(table: Table) -> Column[Any]:
    """The column that says whose a row is: on whose timeline."""
    if table in PEOPLE.values():
        return table.c.id
    return next(column for column in table.columns if column.info.get("references"))


def _stirred(con: DuckDBPyConnection, table: Table, since: str, planned: Plans) -> Iterator[str]:
    """Queries of whose rows of the table changed, or reached a time; of a profile the service is empty.

    What was planned is of no matter until minutes before. What was recorded is judged by the hour up to a day ahead,
    and so are the duplicates of such a row, which may count where it does not.
    """
    own, name = own_column(table), lake_name(table)
    service = "" if own.info.get("references") == PROFILE else service_of(table)
    whose = f"select distinct tenant_id, '{service}', cast({own.key} as varchar)"
    yield f"{whose} from changed_{name}"
    # Column by column: each then passes over the parts of files in which no time is so late, which are nearly all.
    later = f"from present_{name} join noted using (tenant_id) where {{0}} > {since} and {{0}} > worked_at and"
    for column in (column for column in table.columns if column in planned):
        come = f"{column.key} <= as_of() + interval 5 minutes and {planned[column]}"
        yield f"{whose} {later.format(column.key)} {come}"
    recorded = [column.key for column in table.columns if column.info.get("recorded")]
    ahead = (f"select tenant_id, id {later.format(when)} _version <= {name}" for when in recorded)
    con.execute(f"create or replace temp table ahead as {' union '.join(ahead)}")
    if con.sql("from ahead limit 1").fetchall():
        yield f"{whose} from present_{name} semi join ahead using (tenant_id, id)"
