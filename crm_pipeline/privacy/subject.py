"""Data subjects: the records of some people, rows that depend on them, their revenue, and values nobody else has."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import uuid4

import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.money import define_stored_sum
from crm_pipeline.domain.privacy.subject_rows import build_people_table_sql, build_source_condition
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

MIN_SEARCH_TERM_LENGTH: Final = 6
"""Shorter values occur in many places that have nothing to do with a person."""
# A deleted record is owned by the profile of its last link; where versions of links end, contacts that are set aside
# still have it.
_CREATE_SUBJECT_RECORDS: Final = """
    create or replace temp table subject_ids as
    select tenant_id, owner, profile_id from current_profile_ids join subjects using (tenant_id)
    where profile_id = owner or redirects_to = owner;
    create or replace temp table subject_records as
    select tenant_id, owner, service, record_id from (
        select tenant_id, service, service_record_id as record_id, profile_id from link_history
        where tenant_id in (select tenant_id from subjects)
        qualify row_number() over (partition by tenant_id, service, service_record_id order by _version desc) = 1
        union select tenant_id, 'MESSAGING', contact_id, profile_id from withheld_consents)
    join subject_ids using (tenant_id, profile_id);
    insert into subject_ids
    select i.tenant_id, min(owner), profile_id
    from current_profile_ids i join subject_records r on r.tenant_id = i.tenant_id
        and ((r.service = minted_service and r.record_id = minted_record_id)
            or (r.service = anchor_service and r.record_id = anchor_record_id))
    where not is_live and redirects_to is null group by all"""
_CREATE_RECORD_IDENTIFIERS: Final = """
    create or replace temp macro comparable_value(kind, value) as
    case when kind in ('phone_number', 'PHONE') then nullif(right(regexp_replace(value, '[^0-9]', '', 'g'), 9), '')
        else lower(trim(value)) end;
    create or replace temp table record_identifiers as
    select *, comparable_value(kind, value) as comparable_value from (
        unpivot (
            select tenant_id, service, record_id,
                lower(trim(first_name)) as first_name, lower(trim(last_name)) as last_name,
                trim(email) as email, trim(phone_number) as phone_number, trim(auth_user_id) as auth_user_id,
                record_id as id
            from person_versions)
        on email, phone_number, auth_user_id, id into name kind value value)"""
# Quarantined records are in no profile: they are owned through an account that only one person has, or through a value
# and the full name.
_ADD_QUARANTINED_RECORDS: Final = """
    insert into subject_records
    with subject_identifiers as (
        select r.*, owner from record_identifiers r join subject_records using (tenant_id, service, record_id)),
    account_people as (
        select tenant_id, comparable_value, count(distinct coalesce(owner, concat(service, ' ', record_id))) as people
        from record_identifiers left join subject_records using (tenant_id, service, record_id)
        where kind = 'auth_user_id' and (tenant_id, service, record_id) in (
            select tenant_id, service, service_record_id from link_history)
        group by all)
    select r.tenant_id, min(s.owner), r.service, r.record_id
    from record_identifiers r join subject_identifiers s
        on s.tenant_id = r.tenant_id and s.kind = r.kind and s.comparable_value = r.comparable_value
    left join account_people a on r.kind = 'auth_user_id'
        and a.tenant_id = r.tenant_id and a.comparable_value = r.comparable_value
    where r.kind <> 'id'
        and (r.kind = 'auth_user_id' and coalesce(people, 1) = 1
            or (r.first_name = s.first_name and r.last_name = s.last_name))
        and (r.tenant_id, r.service, r.record_id) not in (
            select tenant_id, service, service_record_id from link_history)
    group by all"""
# A suppressed value is the subject's if no record of anybody else has it.
_SELECT_SUBJECT_RECORDS: Final = f"""
    select tenant_id, owner, service, {build_people_table_sql("service")}, record_id from subject_records
    union select tenant_id, owner, '{Service.CRM}', '{PROFILE_REFERENCE}', profile_id from subject_ids
    union select s.tenant_id, min(owner), '{Service.CRM}', '{crm.suppressed_identifier.name}', s.id
    from current_suppressed_identifiers s
    join record_identifiers r on r.tenant_id = s.tenant_id and r.comparable_value = comparable_value(s.kind, s.value)
    join subject_records o on o.tenant_id = r.tenant_id and o.service = r.service and o.record_id = r.record_id
    where r.comparable_value not in (
        select comparable_value from record_identifiers anti join subject_records using (tenant_id, service, record_id)
        where comparable_value is not null)
    group by all order by all"""


class Subject(NamedTuple):
    """One live profile of a club."""

    tenant_id: str
    profile_id: str


def find_subject_records(
    con: DuckDBPyConnection, lake: Lake, subjects: Sequence[Subject], condition: str = "true"
) -> dict[Subject, list[SubjectRecord]]:
    """Returns the records, profile ids and exclusive suppressed values of each subject.

    A value is exclusive if no other person record has it; `condition` limits the person records that are compared.
    Creates: `forgotten`, all of these records.
    """
    tenants = sorted({subject.tenant_id for subject in subjects})
    _create_temp_table(con, "subjects", ("tenant_id", "owner"), subjects)
    lake.create_current_view(con, identity.profile_ids, tenants=tenants, name="current_profile_ids")
    lake.create_log_view(con, identity.customer_identities, name="link_history")
    lake.create_current_view(con, identity.withheld_consents, tenants=tenants)
    lake.create_current_view(con, crm.suppressed_identifier, tenants=tenants, name="current_suppressed_identifiers")
    _create_person_versions(con, lake, condition)
    for statements in (_CREATE_SUBJECT_RECORDS, _CREATE_RECORD_IDENTIFIERS, _ADD_QUARANTINED_RECORDS):
        con.execute(statements)
    records_by_subject: dict[Subject, list[SubjectRecord]] = {subject: [] for subject in subjects}
    for tenant_id, owner, *record in con.sql(_SELECT_SUBJECT_RECORDS).fetchall():
        records_by_subject[Subject(tenant_id, owner)].append(SubjectRecord(tenant_id, *record))
    create_forgotten_relation(con, [record for records in records_by_subject.values() for record in records])
    return records_by_subject


def create_forgotten_relation(con: DuckDBPyConnection, records: Sequence[SubjectRecord]) -> None:
    """Creates temp table `forgotten` of these records, read by the conditions of `domain/privacy/subject_rows.py`."""
    _create_temp_table(con, "forgotten", SubjectRecord._fields, records)


def build_erasure_request(
    con: DuckDBPyConnection,
    lake: Lake,
    seen_until: Mapping[Subject, datetime],
    *,
    at: datetime,
    asked: str | None,
    reason: str | None,
) -> ErasureRequest:
    """Returns the erasure request for these people.

    Reads: `people`, everybody's addresses and numbers as identity resolution compares them.
    Creates: `forgotten`.
    """
    records_by_subject = find_subject_records(con, lake, list(seen_until))
    yearly_revenue = _sum_yearly_revenue(con, lake)
    return ErasureRequest(
        certificate_id=uuid4().hex,
        at=at.isoformat(),
        asked=asked,
        reason=reason,
        people=[
            SubjectData(subject.tenant_id, seen_until[subject].isoformat(), records, yearly_revenue.get(subject, []))
            for subject, records in records_by_subject.items()
        ],
        dependent_rows=list(_find_dependent_rows(con, lake)),
        values=_find_search_terms(con),
    )


def _create_temp_table(
    con: DuckDBPyConnection, name: str, fields: Sequence[str], rows: Sequence[tuple[str, ...]]
) -> None:
    columns = list(zip(*rows, strict=True)) or [()] * len(fields)
    con.register(f"{name}_rows", pa.table([pa.array(c, pa.string()) for c in columns], names=fields))
    con.execute(f"create or replace temp table {name} as from {name}_rows")
    con.unregister(f"{name}_rows")


def _create_person_versions(con: DuckDBPyConnection, lake: Lake, condition: str) -> None:
    """Creates view `person_versions`: all versions of the person records that fulfil the condition."""
    versions = " union all ".join(
        f"""select tenant_id, '{service}' as service, coalesce(cast(id as varchar), _record_key) as record_id,
            first_name, last_name, email, phone_number, auth_user_id
        from {lake.create_log_view(con, table, name=f"history_{to_lake_name(table)}")} where {condition}"""
        for service, table in PERSON_TABLES.items()
    )
    con.execute(f"create or replace temp view person_versions as {versions}")


def _find_dependent_rows(con: DuckDBPyConnection, lake: Lake) -> Iterable[SubjectRecord]:
    """Yields the rows of which any version references a record or id in `forgotten`."""
    person_tables = {*PERSON_TABLES.values(), crm.suppressed_identifier}
    for table in source_metadata.tables.values():
        if table in person_tables or (condition := build_source_condition(table)) == "false":
            continue
        log = lake.create_log_view(con, table, name="dependent_rows_log")
        rows = con.sql(f"""
            select distinct tenant_id, coalesce(cast(id as varchar), _record_key)
            from {log} t where {condition} order by all""")
        for tenant_id, record_id in rows.fetchall():
            yield SubjectRecord(tenant_id, find_table_service(table).value, table.name, record_id)


def _find_search_terms(con: DuckDBPyConnection) -> list[str]:
    """Returns values of the subjects that occur in nobody else's values, in every spelling, and their profile ids."""
    is_of_subject = "(r.tenant_id, r.service, r.record_id) in (select tenant_id, service, record_id from forgotten)"
    con.execute(f"""
        create or replace temp table other_identifiers as
        select distinct lower(value) as value, comparable_value from record_identifiers r where not {is_of_subject}""")
    rows = con.sql(f"""
        with subject_values as (
            select kind, value, comparable_value from record_identifiers r where {is_of_subject}
            union select 'email', email, comparable_value('email', email) from people r where {is_of_subject}
            union select 'phone_number', unnest([phone_number, ltrim(phone_number, '+')]),
                comparable_value('phone_number', phone_number) from people r where {is_of_subject})
        select distinct unnest([value, lower(value)]) from subject_values
        where length(value) >= {MIN_SEARCH_TERM_LENGTH} and not (kind = 'id' and regexp_full_match(value, '[0-9]*'))
            and comparable_value not in (
                select comparable_value from other_identifiers where comparable_value is not null)
        order by 1""").fetchall()
    values = [value for (value,) in rows]
    other_values = con.sql("select coalesce(string_agg(value, chr(10)), '') from other_identifiers").fetchall()[0][0]
    shared_values = SearchTerms(value.lower().encode() for value in values).find_in(other_values.encode())
    ids = con.sql("select distinct profile_id from subject_ids order by 1").fetchall()
    return sorted(
        {*(v for v in values if v.lower().encode() not in shared_values), *(profile_id for (profile_id,) in ids)}
    )


def _sum_yearly_revenue(con: DuckDBPyConnection, lake: Lake) -> dict[Subject, list[YearlyRevenue]]:
    """Returns the revenue from each subject by year and currency."""
    events = lake.create_current_view(con, timeline.customer_timeline, name="current_timeline_events")
    define_stored_sum(con)
    rows = con.sql(f"""
        select tenant_id, owner, year(occurred_at), currency, stored_sum(sum(amount_cents))
        from {events} join subject_ids using (tenant_id, profile_id)
        where amount_cents is not null group by all order by all""").fetchall()
    yearly_revenue: dict[Subject, list[YearlyRevenue]] = {}
    for tenant_id, owner, *revenue_columns in rows:
        yearly_revenue.setdefault(Subject(tenant_id, owner), []).append(YearlyRevenue(*revenue_columns))
    return yearly_revenue
