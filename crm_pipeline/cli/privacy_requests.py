"""What the commands `forget`, `unforget` and `retention` do, and the line every `explain` leaves in the audit."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from duckdb import DuckDBPyConnection
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from crm_pipeline.domain.ingest.tenant_validation import format_unknown_tenants
from crm_pipeline.explain.lake_reader import PersonRecords
from crm_pipeline.explain.lookup import ProfileLookup, ProfileNotFoundError, find_profiles
from crm_pipeline.explain.warehouse_reader import NothingPublishedError, read_published_tenant
from crm_pipeline.privacy.erase import ProgressReporter, execute_erasure_request
from crm_pipeline.privacy.request import ErasureRequest, read_pending_requests
from crm_pipeline.privacy.subject import Subject, build_erasure_request
from crm_pipeline.resources.connections import open_lake, open_warehouse
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.postgres.admin import create_administrator_engine
from crm_pipeline.resources.postgres.embedded import start_embedded_postgres
from crm_pipeline.resources.privacy import schema
from crm_pipeline.resources.privacy.tombstones import SubjectRecord, build_tombstone, store_forgotten_totals
from crm_pipeline.resources.warehouse.run_lock import hold_tenants
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.settings import Settings
from crm_pipeline.tables.outputs import operations, privacy
from crm_pipeline.tables.ownership import PROFILE_REFERENCE
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service

_REQUEST_ID_SQL: Final = "split_part(certificate_id, '-', 1)"
"""The certificate of all whom retention removed at once; each has a number behind it."""


class ForgetError(Exception):
    """Nobody was forgotten; the message says why."""


class SeveralPeopleError(ForgetError):
    """More than one person fits."""


def forget_person(
    settings: Settings, question: ProfileLookup, reason: str | None, say: ProgressReporter
) -> list[dict[str, Any]]:
    """Finish what was begun, then forget who is meant; return the certificates. Raises ForgetError."""
    key = _require_erasure_key(settings)
    with _hold_all_tenants(settings, say) as administrator:
        lake = open_lake(settings)
        issued = [
            each
            for order in read_pending_requests(lake)
            for each in execute_erasure_request(settings, order, key, administrator, say)
        ]
        try:
            order = _build_person_request(settings, lake, question, reason, key)
        except (ProfileNotFoundError, NothingPublishedError) as error:
            if issued:
                return issued
            raise ForgetError(str(error)) from None
        order.keep(lake)
        return [*issued, *execute_erasure_request(settings, order, key, administrator, say)]


def unforget_people(
    settings: Settings, tenant_id: str, certificate_id: str, reason: str | None, say: ProgressReporter
) -> int:
    """Take the tombstones of a certificate away, and have every service read whole; return how many there were."""
    _require_erasure_key(settings)
    with _hold_all_tenants(settings, say) as administrator:
        lake, params = open_lake(settings), {"tenant": tenant_id, "certificate": certificate_id}
        if any(order.certificate_id == certificate_id.partition("-")[0] for order in read_pending_requests(lake)):
            raise ForgetError(f"{certificate_id} is not finished yet: run forget again first")
        with administrator.begin() as connection:
            for table in schema.COPIED_TABLES:
                connection.execute(
                    text(f"""delete from {schema.PRIVACY_SCHEMA}.{table.name}
                        where tenant_id = :tenant and :certificate in (certificate_id, {_REQUEST_ID_SQL})"""),
                    params,
                )
        with closing(lake.connect()) as con:
            lifted = _delete_lake_tombstones(con, lake, tenant_id, certificate_id)
        if not lifted:
            raise ForgetError(f"{tenant_id} has no certificate {certificate_id}")
        with administrator.begin() as connection:
            schema.write_log_entry(connection, "UNFORGET", tenant_id, subject=certificate_id, reason=reason)
    return lifted


def set_retention_period(settings: Settings, tenant_id: str, months: int | None, reason: str | None) -> None:
    """Set for how many months inactive casual golfers of a club are kept; None is for ever. Raises ForgetError."""
    _require_erasure_key(settings)
    administrator, warehouse, lake = (
        create_administrator_engine(settings),
        open_warehouse(settings),
        open_lake(settings),
    )
    with closing(lake.connect()) as con:
        clubs = con.sql(f"select tenant_id from {lake.current(con, crm.tenant)} where tenant_id <> ''").fetchall()
    if (tenant_id,) not in clubs:
        raise ForgetError(format_unknown_tenants([tenant_id], (club for (club,) in clubs)))
    with administrator.begin() as connection:
        schema.create_privacy_schema(connection, warehouse.url)
        schema.store_retention_months(connection, tenant_id, months)
        kept = f"casual golfers: {f'{months} months' if months else 'for ever'}"
        schema.write_log_entry(connection, "RETENTION", tenant_id, subject=kept, reason=reason)


def write_explain_log(settings: Settings, question: ProfileLookup) -> None:
    """Put on record that somebody is asked about, before anything is answered. Raises ForgetError where nobody may."""
    warehouse = settings.warehouse_url or start_embedded_postgres(settings.home).url("crm")
    if not settings.warehouse_url or settings.warehouse_admin_url:
        with create_administrator_engine(settings).begin() as connection:
            if not schema.has_privacy_schema(connection):
                schema.create_privacy_schema(connection, open_warehouse(settings).url)
    subject = None
    if settings.erasure_key and question.by == "profile":
        subject = _hash_profile_id(settings.erasure_key, question.tenant_id, question.value.strip().lower())
    try:
        with Warehouse(warehouse).engine().begin() as connection:
            schema.write_log_entry(connection, "EXPLAIN", question.tenant_id, subject=subject)
    except DBAPIError as error:
        said = str(error.orig).splitlines()[0]
        raise ForgetError(
            f"what is asked has to be recorded, and cannot be: {said}."
            " An administrator prepares it: any command with WAREHOUSE_ADMIN_URL set"
        ) from None


@contextmanager
def _hold_all_tenants(settings: Settings, say: ProgressReporter) -> Iterator[Engine]:
    """The administrator, while no run works."""
    administrator, warehouse = create_administrator_engine(settings), open_warehouse(settings)
    with hold_tenants(warehouse, "forget", None, say):
        with administrator.begin() as connection:
            schema.create_privacy_schema(connection, warehouse.url)
        yield administrator


def _require_erasure_key(settings: Settings) -> str:
    if settings.erasure_key is None:
        raise ForgetError(
            "ERASURE_KEY is not set, and tombstones without a key could be guessed: make one"
            " (python -c 'import secrets; print(secrets.token_urlsafe(32))'), keep it, and give it to every run"
        )
    return settings.erasure_key


def _build_person_request(
    settings: Settings, lake: Lake, question: ProfileLookup, reason: str | None, key: str
) -> ErasureRequest:
    with closing(lake.connect()) as con:
        with read_published_tenant(settings, question.tenant_id) as published:
            people = PersonRecords.load(con, lake, question.tenant_id, published.as_of)
            found = find_profiles(question, published, people)
        if len(found.profile_ids) > 1:
            raise SeveralPeopleError(
                f"{len(found.profile_ids)} people fit; give one of these with --profile: {', '.join(found.profile_ids)}"
            )
        [profile_id] = found.profile_ids
        asked, at = _hash_profile_id(key, question.tenant_id, profile_id), datetime.now(UTC)
        who = {Subject(question.tenant_id, profile_id): at}
        return build_erasure_request(con, lake, who, at=at, asked=asked, reason=reason)


def _hash_profile_id(key: str, tenant_id: str, profile_id: str) -> str:
    return build_tombstone(key, SubjectRecord(tenant_id, Service.CRM.value, PROFILE_REFERENCE, profile_id))


def _delete_lake_tombstones(con: DuckDBPyConnection, lake: Lake, tenant_id: str, certificate_id: str) -> int:
    now, scope, lifted = datetime.now(UTC), f"'{certificate_id}' in (certificate_id, {_REQUEST_ID_SQL})", 0
    for table in schema.COPIED_TABLES:
        nothing = f"(from {lake.current(con, table, name='kept_now')} where false)"
        changes = lake.replace(con, table, nothing, tenants=[tenant_id], known_at=now, scope=scope)
        lifted += changes.removed if table is privacy.tombstones else 0
    store_forgotten_totals(con, lake, [tenant_id], now)
    # Else a database would not be asked again for rows it has delivered already.
    covered = operations.service_snapshots
    nothing = f"(from {lake.current(con, covered, name='covered_now')} where false)"
    if last := lake.latest(con, covered):
        lake.replace(con, covered, nothing, tenants=[tenant_id, ""], known_at=last)
    return lifted
