"""The work of the commands `forget`, `unforget` and `retention`, and the entry of `explain` in the privacy log."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from duckdb import DuckDBPyConnection
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from crm_pipeline.domain.ingest.tenant_validation import format_unknown_tenants
from crm_pipeline.explain.lake_reader import PersonRecords
from crm_pipeline.explain.lookup import ProfileLookup, find_profiles
from crm_pipeline.explain.warehouse_reader import ProfileNotFoundError, PublishedTenant, read_published_tenant
from crm_pipeline.faults import describe_error
from crm_pipeline.privacy.erase import ProgressReporter, execute_erasure_request, finish_open_requests
from crm_pipeline.privacy.request import ErasureRequest, read_pending_requests
from crm_pipeline.privacy.subject import Subject, build_erasure_request
from crm_pipeline.resources.connections import open_lake, open_warehouse
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.lake_lock import hold_lake
from crm_pipeline.resources.lake.table_register import require_registered_tables
from crm_pipeline.resources.postgres.admin import create_administrator_engine
from crm_pipeline.resources.postgres.embedded import start_embedded_postgres
from crm_pipeline.resources.privacy import schema as privacy_schema
from crm_pipeline.resources.privacy.erasure_key import (
    find_or_create_erasure_key,
    may_create_erasure_key,
    require_erasure_key,
)
from crm_pipeline.resources.privacy.tombstones import SubjectRecord, build_tombstone, store_forgotten_totals
from crm_pipeline.resources.warehouse.run_lock import hold_tenants
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.settings import Settings
from crm_pipeline.tables.outputs import operations, privacy
from crm_pipeline.tables.ownership import PROFILE_REFERENCE
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service

_REQUEST_ID_SQL: Final = "split_part(certificate_id, '-', 1)"
"""The certificate id of a request; retention appends a number for each person it removes."""


class ForgetError(Exception):
    """The command was refused; the message says why."""


class SeveralPeopleError(ForgetError):
    """The question fits more than one person."""


class FoundPerson(NamedTuple):
    """Whom a question to `forget` means, with as much as is shown before it asks."""

    profile_id: str
    masked_name: str
    record_counts: Mapping[str, int]
    """Records of people by service."""


def find_person(settings: Settings, question: ProfileLookup) -> FoundPerson | None:
    """Returns who is meant; None where nobody fits, but a request is left unfinished, which `forget_person` finishes.

    Raises:
        ForgetError: Nobody or more than one person fits.
        SettingError: The erasure key is missing, or not that of earlier tombstones.
    """
    lake = open_lake(settings)
    if not may_create_erasure_key(settings, lake):
        require_erasure_key(settings, lake)
    try:
        with closing(lake.connect()) as con, read_published_tenant(settings, question.tenant_id) as published:
            people = PersonRecords.load(con, lake, question.tenant_id, published.as_of)
            return _find_person(question, published, people)
    except ProfileNotFoundError as error:
        if any(read_pending_requests(lake)):
            return None
        raise ForgetError(str(error)) from None


def forget_person(
    settings: Settings,
    question: ProfileLookup,
    reason: str | None,
    report_progress: ProgressReporter,
    confirmed: FoundPerson | None = None,
) -> list[dict[str, Any]]:
    """Returns the certificates of unfinished requests, finished first, and of the person's erasure.

    Raises:
        ForgetError: Nobody, more than one person or another one than confirmed fits.
        SettingError: The erasure key is missing, or not that of earlier tombstones.
    """
    lake = open_lake(settings)
    key = find_or_create_erasure_key(settings, lake, report_progress)
    with _hold_all_tenants(settings, report_progress) as administrator:
        certificates = finish_open_requests(settings, lake, key, administrator, report_progress)
        try:
            request = _build_person_request(settings, lake, question, reason, key, confirmed)
        except ProfileNotFoundError as error:
            if certificates:
                return certificates
            raise ForgetError(str(error)) from None
        request.store(lake)
        return [*certificates, *execute_erasure_request(settings, request, key, administrator, report_progress)]


def finish_erasures(settings: Settings, report_progress: ProgressReporter) -> list[dict[str, Any]]:
    """Returns the certificates of the requests that were unfinished.

    Raises:
        SettingError: The erasure key is missing, or not that of earlier tombstones.
    """
    lake = open_lake(settings)
    key = require_erasure_key(settings, lake)
    with _hold_all_tenants(settings, report_progress) as administrator:
        return finish_open_requests(settings, lake, key, administrator, report_progress)


def unforget_people(
    settings: Settings, tenant_id: str, certificate_id: str, reason: str | None, report_progress: ProgressReporter
) -> int:
    """Returns how many tombstones of the certificate were deleted; the next run reads every row of every service.

    Raises:
        ForgetError: The club has no such certificate, or its erasure is unfinished.
        SettingError: The erasure key is missing, or not that of earlier tombstones.
    """
    require_erasure_key(settings, open_lake(settings))
    with _hold_all_tenants(settings, report_progress) as administrator:
        lake, params = open_lake(settings), {"tenant": tenant_id, "certificate": certificate_id}
        if any(request.certificate_id == certificate_id.partition("-")[0] for request in read_pending_requests(lake)):
            raise ForgetError(f"{certificate_id} is not finished yet: run forget again first")
        with administrator.begin() as connection:
            for table in privacy_schema.COPIED_TABLES:
                connection.execute(
                    text(f"""delete from {privacy_schema.PRIVACY_SCHEMA}.{table.name}
                        where tenant_id = :tenant and :certificate in (certificate_id, {_REQUEST_ID_SQL})"""),
                    params,
                )
        with closing(lake.connect()) as con:
            removed_count = _delete_lake_tombstones(con, lake, tenant_id, certificate_id)
        if not removed_count:
            raise ForgetError(f"{tenant_id} has no certificate {certificate_id}")
        with administrator.begin() as connection:
            privacy_schema.write_log_entry(connection, "UNFORGET", tenant_id, subject=certificate_id, reason=reason)
    return removed_count


def set_retention_period(
    settings: Settings, tenant_id: str, months: int | None, reason: str | None, report_progress: ProgressReporter
) -> None:
    """Stores for how many months a club keeps inactive casual golfers; None is for ever.

    Raises:
        ForgetError: The tenant is unknown.
        SettingError: The erasure key is missing, or not that of earlier tombstones.
    """
    administrator, warehouse, lake = (
        create_administrator_engine(settings),
        open_warehouse(settings),
        open_lake(settings),
    )
    with closing(lake.connect()) as con:
        clubs = con.sql(
            f"select tenant_id from {lake.create_current_view(con, crm.tenant)} where tenant_id <> ''"
        ).fetchall()
    if (tenant_id,) not in clubs:
        raise ForgetError(format_unknown_tenants([tenant_id], (club for (club,) in clubs)))
    find_or_create_erasure_key(settings, lake, report_progress)
    with administrator.begin() as connection:
        privacy_schema.create_privacy_schema(connection, warehouse.url)
        privacy_schema.store_retention_months(connection, tenant_id, months)
        retention = f"casual golfers: {f'{months} months' if months else 'for ever'}"
        privacy_schema.write_log_entry(connection, "RETENTION", tenant_id, subject=retention, reason=reason)


def write_explain_log(settings: Settings, question: ProfileLookup) -> None:
    """Writes the question to the privacy log, before anything is answered.

    Raises:
        ForgetError: This login may not write to the privacy log.
    """
    warehouse = settings.warehouse_url or start_embedded_postgres(settings.home).url("crm")
    if not settings.warehouse_url or settings.warehouse_admin_url:
        with create_administrator_engine(settings).begin() as connection:
            if not privacy_schema.has_privacy_schema(connection):
                privacy_schema.create_privacy_schema(connection, open_warehouse(settings).url)
    subject = None
    if settings.erasure_key and question.by == "profile":
        subject = _hash_profile_id(settings.erasure_key, question.tenant_id, question.value.strip().lower())
    try:
        with Warehouse(warehouse).engine().begin() as connection:
            privacy_schema.write_log_entry(connection, "EXPLAIN", question.tenant_id, subject=subject)
    except DBAPIError as error:
        raise ForgetError(
            f"what is asked has to be recorded, and cannot be: {describe_error(error)}."
            " An administrator prepares it: any command with WAREHOUSE_ADMIN_URL set"
        ) from None


@contextmanager
def _hold_all_tenants(settings: Settings, report_progress: ProgressReporter) -> Iterator[Engine]:
    """Yields the administrator's engine while every tenant is held and no run works."""
    administrator, warehouse = create_administrator_engine(settings), open_warehouse(settings)
    lake = open_lake(settings)
    with (
        hold_tenants(warehouse, "forget", None, report_progress),
        hold_lake(lake, "crm-pipeline forget", None, report_progress),
    ):
        with administrator.begin() as connection:
            privacy_schema.create_privacy_schema(connection, warehouse.url)
        require_registered_tables(lake)
        yield administrator


def _build_person_request(
    settings: Settings,
    lake: Lake,
    question: ProfileLookup,
    reason: str | None,
    key: str,
    confirmed: FoundPerson | None,
) -> ErasureRequest:
    with closing(lake.connect()) as con:
        with read_published_tenant(settings, question.tenant_id) as published:
            people = PersonRecords.load(con, lake, question.tenant_id, published.as_of)
            person = _find_person(question, published, people)
        if confirmed not in (None, person):
            raise ForgetError("a run has just changed who is meant: ask again")
        profile_id = person.profile_id
        subject_hash, at = _hash_profile_id(key, question.tenant_id, profile_id), datetime.now(UTC)
        seen_until = {Subject(question.tenant_id, profile_id): at}
        return build_erasure_request(con, lake, seen_until, at=at, asked=subject_hash, reason=reason)


def _find_person(question: ProfileLookup, published: PublishedTenant, people: PersonRecords) -> FoundPerson:
    profile_ids = find_profiles(question, published, people).profile_ids
    if len(profile_ids) > 1:
        raise SeveralPeopleError(
            f"{len(profile_ids)} people fit; give one of these with --profile: {', '.join(profile_ids)}"
        )
    counts = Counter(str(link["service"]) for link in published.links_of_profile(profile_ids[0]))
    names = [str(profile["display_name"]) for profile in published.profiles(profile_ids)]
    return FoundPerson(profile_ids[0], " ".join(map(_mask_name, names)), dict(sorted(counts.items())))


def _mask_name(name: str) -> str:
    return " ".join(f"{word[0]}***" for word in name.split())


def _hash_profile_id(key: str, tenant_id: str, profile_id: str) -> str:
    return build_tombstone(key, SubjectRecord(tenant_id, Service.CRM.value, PROFILE_REFERENCE, profile_id))


def _delete_lake_tombstones(con: DuckDBPyConnection, lake: Lake, tenant_id: str, certificate_id: str) -> int:
    """Returns the number of deleted tombstones."""
    now, removed_count = datetime.now(UTC), 0
    condition = f"'{certificate_id}' in (certificate_id, {_REQUEST_ID_SQL})"
    for table in privacy_schema.COPIED_TABLES:
        empty_query = f"(from {lake.create_current_view(con, table, name='current_tombstones')} where false)"
        changes = lake.replace(con, table, empty_query, tenants=[tenant_id], known_at=now, condition=condition)
        removed_count += changes.removed if table is privacy.tombstones else 0
    store_forgotten_totals(con, lake, [tenant_id], now)
    # Without snapshots, a database is read in full again, including rows it has delivered before.
    snapshots = operations.service_snapshots
    empty_query = f"(from {lake.create_current_view(con, snapshots, name='current_snapshots')} where false)"
    if last_extracted_at := lake.find_latest_known_at(con, snapshots):
        lake.replace(con, snapshots, empty_query, tenants=[tenant_id, ""], known_at=last_extracted_at)
    return removed_count
