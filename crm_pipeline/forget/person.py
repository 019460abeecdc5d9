"""Everything that is one person's, found in the lake: records, ids, what hangs on them, values nobody else has.

Finding whom a question means is `explain`'s business, taking rows out is `carry_out`'s.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import uuid4

import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.forgetting import source_condition
from crm_pipeline.domain.records import PROFILE
from crm_pipeline.forget.order import Order, Sum
from crm_pipeline.resources.lake import Lake
from crm_pipeline.resources.tombstones import Record
from crm_pipeline.tables import PEOPLE, crm, identities, timeline
from crm_pipeline.tables.columns import service_of, sources
from crm_pipeline.tables.projections import lake_name
from crm_pipeline.vocabulary import Service

LEAST_TELLING: Final = 6
"""Shorter values stand in many places that have nothing to do with anybody."""
_DIGITS: Final = "nullif(right(regexp_replace({}, '[^0-9]', '', 'g'), 9), '')"
_IDS: Final = """
    create or replace temp table own_ids as
    select profile_id from {ids} where tenant_id = $tenant and (profile_id = $profile or redirects_to = $profile)"""
# A record deleted at its service belongs to whom it belonged to last.
_RECORDS: Final = """
    create or replace temp table own_records as
    select service, service_record_id as record_id from (
        from {links} where tenant_id = $tenant
        qualify row_number() over (partition by service, service_record_id order by _version desc) = 1)
    where profile_id in (select profile_id from own_ids)"""
_RETIRED: Final = """
    insert into own_ids select profile_id from {ids}
    where tenant_id = $tenant and not is_live and redirects_to is null and (
        (minted_service, minted_record_id) in (from own_records)
        or (anchor_service, anchor_record_id) in (from own_records))"""
_CARRIED: Final = """
    create or replace temp view carried as
    unpivot (
        select tenant_id, service, record_id,
            lower(trim(first_name)) as first_name, lower(trim(last_name)) as last_name,
            trim(email) as email, trim(phone_number) as phone_number, trim(auth_user_id) as auth_user_id,
            record_id as id
        from ({versions}))
    on email, phone_number, auth_user_id, id into name kind value value"""
_COMPARABLE: Final = f"case kind when 'phone_number' then {_DIGITS.format('value')} else lower(value) end"


class Subject(NamedTuple):
    """One live profile."""

    tenant_id: str
    profile_id: str


def find_records(con: DuckDBPyConnection, lake: Lake, subject: Subject, among: str = "true") -> list[Record]:
    """Relation `forgotten` and a list of what is theirs: records, profile ids, suppressed values nobody else has.

    Whose a value is, is judged `among` these records of people, all of them by default.
    """
    tenant_id, params = subject.tenant_id, {"tenant": subject.tenant_id, "profile": subject.profile_id}
    ids = lake.current(con, identities.profile_ids, tenants=[tenant_id], name="ids_now")
    links = lake.log(con, identities.customer_identities, name="links_ever")
    con.execute(_IDS.format(ids=ids), params)
    con.execute(_RECORDS.format(links=links), {"tenant": tenant_id})
    con.execute(_RETIRED.format(ids=ids), {"tenant": tenant_id})
    _find_carried(con, lake, tenant_id, among)
    records = _records(con, lake, tenant_id)
    name_forgotten(con, records)
    return records


def order_to_forget(
    con: DuckDBPyConnection, lake: Lake, subject: Subject, *, at: datetime, asked: str, reason: str | None
) -> Order:
    """The order for somebody at a club whose people `KnownPeople` has loaded on this connection."""
    tenant_id, records = subject.tenant_id, find_records(con, lake, subject)
    return Order(
        certificate_id=uuid4().hex,
        tenant_id=tenant_id,
        at=at.isoformat(),
        asked=asked,
        reason=reason,
        records=records,
        followers=list(_followers(con, lake, tenant_id)),
        values=_telling(con),
        sums=_sums(con, lake, tenant_id),
    )


def name_forgotten(con: DuckDBPyConnection, records: Iterable[Record]) -> None:
    """Relation `forgotten`, which every condition of `domain/forgetting` is about."""
    columns = list(zip(*records, strict=True)) or [()] * len(Record._fields)
    con.register("forgotten_rows", pa.table([pa.array(c, pa.string()) for c in columns], names=Record._fields))
    con.execute("create or replace temp table forgotten as from forgotten_rows")
    con.unregister("forgotten_rows")


def _find_carried(con: DuckDBPyConnection, lake: Lake, tenant_id: str, among: str) -> None:
    """View `carried` of every value of every version of every person; then add to own_records what was set aside."""
    versions = " union all ".join(
        f"""select tenant_id, '{service}' as service, coalesce(cast(id as varchar), _record_key) as record_id,
            first_name, last_name, email, phone_number, auth_user_id
        from {lake.log(con, table, name=f"ever_{lake_name(table)}")}"""
        for service, table in PEOPLE.items()
    )
    con.execute(_CARRIED.format(versions=versions))
    con.execute(
        f"create or replace temp table carriers as select *, {_COMPARABLE} as comparable from carried where {among}"
    )
    # A record that was never sound is in no profile: it is theirs by their account, or by a value and the whole name.
    con.execute(
        """insert into own_records
        with linked as (select distinct service, service_record_id as record_id from links_ever
                        where tenant_id = $tenant),
        own as (from carriers where tenant_id = $tenant and (service, record_id) in (from own_records))
        select distinct c.service, c.record_id from carriers c join own using (kind, comparable)
        where c.tenant_id = $tenant and (c.service, c.record_id) not in (from linked) and kind <> 'id'
            and (kind = 'auth_user_id' or (c.first_name = own.first_name and c.last_name = own.last_name))""",
        {"tenant": tenant_id},
    )


def _records(con: DuckDBPyConnection, lake: Lake, tenant_id: str) -> list[Record]:
    """Records of people, profile ids, and suppressed values that are nobody else's."""
    people = con.sql("select distinct service, record_id from own_records order by all").fetchall()
    ids = con.sql("select distinct profile_id from own_ids order by 1").fetchall()
    return [
        *(Record(tenant_id, service, PEOPLE[Service(service)].name, record_id) for service, record_id in people),
        *(Record(tenant_id, Service.CRM.value, PROFILE, profile_id) for (profile_id,) in ids),
        *(
            Record(tenant_id, Service.CRM.value, crm.suppressed_identifier.name, id_)
            for (id_,) in _suppressed(con, lake, tenant_id)
        ),
    ]


def _suppressed(con: DuckDBPyConnection, lake: Lake, tenant_id: str) -> list[tuple[str]]:
    value = f"case s.kind when 'PHONE' then {_DIGITS.format('s.value')} else lower(trim(s.value)) end"
    listed = lake.current(con, crm.suppressed_identifier, tenants=[tenant_id], name="listed_now")
    found: list[tuple[str]] = con.sql(
        f"""with own as (from carriers where tenant_id = $tenant and (service, record_id) in (from own_records))
        select id from {listed} s where s.tenant_id = $tenant
            and {value} in (select comparable from own) and {value} not in (
                select comparable from carriers c where c.comparable is not null
                and not (c.tenant_id = $tenant and (c.service, c.record_id) in (from own_records)))""",
        params={"tenant": tenant_id},
    ).fetchall()
    return found


def _followers(con: DuckDBPyConnection, lake: Lake, tenant_id: str) -> Iterable[Record]:
    """Rows of any version that reference the person's records or ids."""
    people = {*PEOPLE.values(), crm.suppressed_identifier}
    for table in sources.tables.values():
        if table in people or (condition := source_condition(table)) == "false":
            continue
        log = lake.log(con, table, name="followers_log")
        rows = con.sql(f"""
            select distinct coalesce(cast(id as varchar), _record_key) from {log} t where {condition} order by 1""")
        for (record_id,) in rows.fetchall():
            yield Record(tenant_id, service_of(table).value, table.name, record_id)


def _telling(con: DuckDBPyConnection) -> list[str]:
    """Values of theirs that stand in nobody else's, in every spelling we have; profile ids are nobody else's."""
    own = "(c.tenant_id, c.service, c.record_id) in (select tenant_id, service, record_id from forgotten)"
    found = con.sql(f"""
        with own as (
            select kind, value, comparable from carriers c where {own}
            union select 'email', email, lower(email) from people c where {own}
            union select 'phone_number', unnest([phone_number, ltrim(phone_number, '+')]),
                {_DIGITS.format("phone_number")} from people c where {own}),
        others as (select distinct lower(value) as value, comparable from carriers c where not {own})
        select distinct unnest([value, lower(value)]) from own
        where length(value) >= {LEAST_TELLING} and not (kind = 'id' and regexp_full_match(value, '[0-9]*'))
            and comparable not in (select comparable from others where comparable is not null)
            and not exists (select 1 from others where strpos(others.value, lower(own.value)) > 0)
        union select profile_id from own_ids order by 1""").fetchall()
    return [value for (value,) in found]


def _sums(con: DuckDBPyConnection, lake: Lake, tenant_id: str) -> list[Sum]:
    events = lake.current(con, timeline.customer_timeline, tenants=[tenant_id], name="events_now")
    rows: list[Any] = con.sql(f"""
        select year(occurred_at), currency, cast(sum(amount_cents) as bigint) from {events}
        where profile_id in (from own_ids) and amount_cents is not null group by all order by all""").fetchall()
    return [Sum(*row) for row in rows]
