"""The order to forget some people: their records, what hangs on those, their money, values nobody else has.

What of the records is theirs is said in `person`; taking rows out is `carry_out`'s.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final
from uuid import uuid4

from duckdb import DuckDBPyConnection

from crm_pipeline.domain.privacy.subject_rows import source_condition
from crm_pipeline.forget.order import Order, Person, Sum
from crm_pipeline.forget.person import DIGITS, Subject, find_records
from crm_pipeline.forget.traces import Needles
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy.tombstones import Record
from crm_pipeline.tables import PEOPLE
from crm_pipeline.tables.columns import service_of, source_metadata
from crm_pipeline.tables.outputs import timeline
from crm_pipeline.tables.sources import crm

LEAST_TELLING: Final = 6
"""Shorter values stand in many places that have nothing to do with anybody."""


def order_to_forget(
    con: DuckDBPyConnection,
    lake: Lake,
    seen_until: Mapping[Subject, datetime],
    *,
    at: datetime,
    asked: str | None,
    reason: str | None,
) -> Order:
    """The order for these people; relation `people` has everybody's addresses and numbers as identity compares them."""
    records, sums = find_records(con, lake, list(seen_until)), _sums(con, lake)
    return Order(
        certificate_id=uuid4().hex,
        at=at.isoformat(),
        asked=asked,
        reason=reason,
        people=[
            Person(subject.tenant_id, seen_until[subject].isoformat(), theirs, sums.get(subject, []))
            for subject, theirs in records.items()
        ],
        followers=list(_followers(con, lake)),
        values=_telling(con),
    )


def _followers(con: DuckDBPyConnection, lake: Lake) -> Iterable[Record]:
    """Rows of any version that reference one of their records or ids."""
    people = {*PEOPLE.values(), crm.suppressed_identifier}
    for table in source_metadata.tables.values():
        if table in people or (condition := source_condition(table)) == "false":
            continue
        log = lake.log(con, table, name="followers_log")
        rows = con.sql(f"""
            select distinct tenant_id, coalesce(cast(id as varchar), _record_key)
            from {log} t where {condition} order by all""")
        for tenant_id, record_id in rows.fetchall():
            yield Record(tenant_id, service_of(table).value, table.name, record_id)


def _telling(con: DuckDBPyConnection) -> list[str]:
    """Values of theirs that stand in nobody else's, in every spelling we have; profile ids are nobody else's."""
    own = "(c.tenant_id, c.service, c.record_id) in (select tenant_id, service, record_id from forgotten)"
    con.execute(f"""
        create or replace temp table others as
        select distinct lower(value) as value, comparable from carriers c where not {own}""")
    found = con.sql(f"""
        with own as (
            select kind, value, comparable from carriers c where {own}
            union select 'email', email, lower(email) from people c where {own}
            union select 'phone_number', unnest([phone_number, ltrim(phone_number, '+')]),
                {DIGITS.format("phone_number")} from people c where {own})
        select distinct unnest([value, lower(value)]) from own
        where length(value) >= {LEAST_TELLING} and not (kind = 'id' and regexp_full_match(value, '[0-9]*'))
            and comparable not in (select comparable from others where comparable is not null)
        order by 1""").fetchall()
    values = [value for (value,) in found]
    elsewhere = con.sql("select coalesce(string_agg(value, chr(10)), '') from others").fetchall()[0][0]
    shared = Needles(value.lower().encode() for value in values).standing_in(elsewhere.encode())
    ids = con.sql("select distinct profile_id from own_ids order by 1").fetchall()
    return sorted({*(v for v in values if v.lower().encode() not in shared), *(profile_id for (profile_id,) in ids)})


def _sums(con: DuckDBPyConnection, lake: Lake) -> dict[Subject, list[Sum]]:
    """What came in from each of own_ids."""
    events = lake.current(con, timeline.customer_timeline, name="events_now")
    rows = con.sql(f"""
        select tenant_id, owner, year(occurred_at), currency, cast(sum(amount_cents) as bigint)
        from {events} join own_ids using (tenant_id, profile_id)
        where amount_cents is not null group by all order by all""").fetchall()
    found: dict[Subject, list[Sum]] = {}
    for tenant_id, owner, *summed in rows:
        found.setdefault(Subject(tenant_id, owner), []).append(Sum(*summed))
    return found
