"""A data subject: the records of some people, what hangs on those, their money, and values nobody else has."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import uuid4

import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.privacy.subject_rows import build_source_condition
from crm_pipeline.privacy.byte_search import SearchTerms
from crm_pipeline.privacy.request import ErasureRequest, SubjectData, YearlyRevenue
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy.tombstones import SubjectRecord
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.columns import find_table_service, source_metadata
from crm_pipeline.tables.outputs import identity, timeline
from crm_pipeline.tables.ownership import PROFILE_REFERENCE
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service

PHONE_DIGITS_SQL: Final = "nullif(right(regexp_replace({}, '[^0-9]', '', 'g'), 9), '')"
_CREATE_SUBJECT_IDS: Final = """
    create or replace temp table own_ids as
    select tenant_id, owner, profile_id from {ids} join subjects using (tenant_id)
    where profile_id = owner or redirects_to = owner"""
# A record deleted at its service belongs to whom it belonged to last.
_CREATE_SUBJECT_RECORDS: Final = """
    create or replace temp table own_records as
    select tenant_id, owner, service, record_id from (
        select tenant_id, service, service_record_id as record_id, profile_id from {links}
        where tenant_id in (select tenant_id from subjects)
        qualify row_number() over (partition by tenant_id, service, service_record_id order by _version desc) = 1)
    join own_ids using (tenant_id, profile_id)"""
_ADD_RETIRED_IDS: Final = """
    insert into own_ids
    select i.tenant_id, min(owner), profile_id from {ids} i join own_records r on r.tenant_id = i.tenant_id
        and ((r.service = minted_service and r.record_id = minted_record_id)
            or (r.service = anchor_service and r.record_id = anchor_record_id))
    where not is_live and redirects_to is null group by all"""
_CREATE_RAW_IDENTIFIERS: Final = """
    create or replace temp view carried as
    unpivot (
        select tenant_id, service, record_id,
            lower(trim(first_name)) as first_name, lower(trim(last_name)) as last_name,
            trim(email) as email, trim(phone_number) as phone_number, trim(auth_user_id) as auth_user_id,
            record_id as id
        from ({versions}))
    on email, phone_number, auth_user_id, id into name kind value value"""
_COMPARABLE_VALUE: Final = (
    f"case kind when 'phone_number' then {PHONE_DIGITS_SQL.format('value')} else lower(value) end"
)
# A record that was never sound is in no profile: it is theirs by their account, or by a value and the whole name.
_ADD_QUARANTINED_RECORDS: Final = """
    insert into own_records
    with own as (select c.*, owner from carriers c join own_records using (tenant_id, service, record_id))
    select c.tenant_id, min(own.owner), c.service, c.record_id
    from carriers c join own on own.tenant_id = c.tenant_id and own.kind = c.kind and own.comparable = c.comparable
    where c.kind <> 'id'
        and (c.kind = 'auth_user_id' or (c.first_name = own.first_name and c.last_name = own.last_name))
        and (c.tenant_id, c.service, c.record_id) not in (
            select tenant_id, service, service_record_id from link_history)
    group by all"""
_COMPARABLE_SUPPRESSED_VALUE: Final = (
    f"case s.kind when 'PHONE' then {PHONE_DIGITS_SQL.format('s.value')} else lower(trim(s.value)) end"
)
_SELECT_SUPPRESSED_IDENTIFIERS: Final = f"""
    select s.tenant_id, min(owner), s.id
    from {{listed}} s join carriers c on c.tenant_id = s.tenant_id and c.comparable = {_COMPARABLE_SUPPRESSED_VALUE}
    join own_records o on o.tenant_id = c.tenant_id and o.service = c.service and o.record_id = c.record_id
    where {_COMPARABLE_SUPPRESSED_VALUE} not in (
        select comparable from carriers anti join own_records using (tenant_id, service, record_id)
        where comparable is not null)
    group by all order by all"""


class Subject(NamedTuple):
    """One live profile."""

    tenant_id: str
    profile_id: str


def find_subject_records(
    con: DuckDBPyConnection, lake: Lake, subjects: Sequence[Subject], among: str = "true"
) -> dict[Subject, list[SubjectRecord]]:
    """Relation `forgotten` and what is whose: records, profile ids, suppressed values nobody else has.

    Whose a value is, is judged `among` these records of people, all of them by default.
    """
    tenants = sorted({subject.tenant_id for subject in subjects})
    _create_temp_table(con, "subjects", ("tenant_id", "owner"), subjects)
    ids = lake.current(con, identity.profile_ids, tenants=tenants, name="ids_now")
    links = lake.log(con, identity.customer_identities, name="link_history")
    con.execute(_CREATE_SUBJECT_IDS.format(ids=ids))
    con.execute(_CREATE_SUBJECT_RECORDS.format(links=links))
    con.execute(_ADD_RETIRED_IDS.format(ids=ids))
    _create_record_identifiers(con, lake, among)
    found: dict[Subject, list[SubjectRecord]] = {subject: [] for subject in subjects}
    for owner, record in _read_subject_records(con, lake, tenants):
        found[owner].append(record)
    create_forgotten_relation(con, [record for records in found.values() for record in records])
    return found


def create_forgotten_relation(con: DuckDBPyConnection, records: Sequence[SubjectRecord]) -> None:
    """Relation `forgotten`, which every condition of `domain/forgetting` is about."""
    _create_temp_table(con, "forgotten", SubjectRecord._fields, records)


def _create_temp_table(
    con: DuckDBPyConnection, name: str, fields: Sequence[str], rows: Sequence[tuple[str, ...]]
) -> None:
    columns = list(zip(*rows, strict=True)) or [()] * len(fields)
    con.register(f"{name}_rows", pa.table([pa.array(c, pa.string()) for c in columns], names=fields))
    con.execute(f"create or replace temp table {name} as from {name}_rows")
    con.unregister(f"{name}_rows")


def _create_record_identifiers(con: DuckDBPyConnection, lake: Lake, among: str) -> None:
    """View `carried` of every value of every version of every person; then add to own_records what was set aside."""
    versions = " union all ".join(
        f"""select tenant_id, '{service}' as service, coalesce(cast(id as varchar), _record_key) as record_id,
            first_name, last_name, email, phone_number, auth_user_id
        from {lake.log(con, table, name=f"ever_{to_lake_name(table)}")}"""
        for service, table in PERSON_TABLES.items()
    )
    con.execute(_CREATE_RAW_IDENTIFIERS.format(versions=versions))
    con.execute(
        f"create or replace temp table carriers as select *, {_COMPARABLE_VALUE} as comparable from carried where {among}"
    )
    con.execute(_ADD_QUARANTINED_RECORDS)


def _read_subject_records(
    con: DuckDBPyConnection, lake: Lake, tenants: Sequence[str]
) -> Iterable[tuple[Subject, SubjectRecord]]:
    """Records of people, profile ids, and suppressed values that are nobody else's, each with whose it is."""
    people = con.sql("select distinct tenant_id, owner, service, record_id from own_records order by all")
    for tenant_id, owner, service, record_id in people.fetchall():
        yield (
            Subject(tenant_id, owner),
            SubjectRecord(tenant_id, service, PERSON_TABLES[Service(service)].name, record_id),
        )
    for tenant_id, owner, profile_id in con.sql("select distinct * from own_ids order by all").fetchall():
        yield Subject(tenant_id, owner), SubjectRecord(tenant_id, Service.CRM.value, PROFILE_REFERENCE, profile_id)
    listed = lake.current(con, crm.suppressed_identifier, tenants=tenants, name="listed_now")
    for tenant_id, owner, id_ in con.sql(_SELECT_SUPPRESSED_IDENTIFIERS.format(listed=listed)).fetchall():
        suppressed = SubjectRecord(tenant_id, Service.CRM.value, crm.suppressed_identifier.name, id_)
        yield Subject(tenant_id, owner), suppressed


MIN_SEARCH_TERM_LENGTH: Final = 6
"""Shorter values stand in many places that have nothing to do with anybody."""


def build_erasure_request(
    con: DuckDBPyConnection,
    lake: Lake,
    seen_until: Mapping[Subject, datetime],
    *,
    at: datetime,
    asked: str | None,
    reason: str | None,
) -> ErasureRequest:
    """The order for these people; relation `people` has everybody's addresses and numbers as identity compares them."""
    records, sums = find_subject_records(con, lake, list(seen_until)), _sum_yearly_revenue(con, lake)
    return ErasureRequest(
        certificate_id=uuid4().hex,
        at=at.isoformat(),
        asked=asked,
        reason=reason,
        people=[
            SubjectData(subject.tenant_id, seen_until[subject].isoformat(), theirs, sums.get(subject, []))
            for subject, theirs in records.items()
        ],
        followers=list(_find_dependent_rows(con, lake)),
        values=_find_search_terms(con),
    )


def _find_dependent_rows(con: DuckDBPyConnection, lake: Lake) -> Iterable[SubjectRecord]:
    """Rows of any version that reference one of their records or ids."""
    people = {*PERSON_TABLES.values(), crm.suppressed_identifier}
    for table in source_metadata.tables.values():
        if table in people or (condition := build_source_condition(table)) == "false":
            continue
        log = lake.log(con, table, name="followers_log")
        rows = con.sql(f"""
            select distinct tenant_id, coalesce(cast(id as varchar), _record_key)
            from {log} t where {condition} order by all""")
        for tenant_id, record_id in rows.fetchall():
            yield SubjectRecord(tenant_id, find_table_service(table).value, table.name, record_id)


def _find_search_terms(con: DuckDBPyConnection) -> list[str]:
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
                {PHONE_DIGITS_SQL.format("phone_number")} from people c where {own})
        select distinct unnest([value, lower(value)]) from own
        where length(value) >= {MIN_SEARCH_TERM_LENGTH} and not (kind = 'id' and regexp_full_match(value, '[0-9]*'))
            and comparable not in (select comparable from others where comparable is not null)
        order by 1""").fetchall()
    values = [value for (value,) in found]
    elsewhere = con.sql("select coalesce(string_agg(value, chr(10)), '') from others").fetchall()[0][0]
    shared = SearchTerms(value.lower().encode() for value in values).standing_in(elsewhere.encode())
    ids = con.sql("select distinct profile_id from own_ids order by 1").fetchall()
    return sorted({*(v for v in values if v.lower().encode() not in shared), *(profile_id for (profile_id,) in ids)})


def _sum_yearly_revenue(con: DuckDBPyConnection, lake: Lake) -> dict[Subject, list[YearlyRevenue]]:
    """What came in from each of own_ids."""
    events = lake.current(con, timeline.customer_timeline, name="events_now")
    rows = con.sql(f"""
        select tenant_id, owner, year(occurred_at), currency, cast(sum(amount_cents) as bigint)
        from {events} join own_ids using (tenant_id, profile_id)
        where amount_cents is not null group by all order by all""").fetchall()
    found: dict[Subject, list[YearlyRevenue]] = {}
    for tenant_id, owner, *summed in rows:
        found.setdefault(Subject(tenant_id, owner), []).append(YearlyRevenue(*summed))
    return found
