"""What the commands `forget`, `unforget` and `retention` do, and the line every `explain` leaves in the audit."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from duckdb import DuckDBPyConnection
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from crm_pipeline.domain.ingest.tenant_validation import no_such_tenant
from crm_pipeline.explain.lake_reader import KnownPeople
from crm_pipeline.explain.lookup import NothingFoundError, Question, find
from crm_pipeline.explain.warehouse_reader import NothingPublishedError, read_published
from crm_pipeline.privacy.erase import Say, carry_out
from crm_pipeline.privacy.request import Order, pending
from crm_pipeline.privacy.subject import Subject, order_to_forget
from crm_pipeline.resources.connections import lake_of, warehouse_of
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.postgres.admin import administrator_engine
from crm_pipeline.resources.postgres.embedded import started
from crm_pipeline.resources.privacy import schema
from crm_pipeline.resources.privacy.tombstones import Record, tombstone, total_up
from crm_pipeline.resources.warehouse.run_lock import hold_tenants
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.settings import Settings
from crm_pipeline.tables.outputs import operations, privacy
from crm_pipeline.tables.ownership import PROFILE
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service

_OF_ALL: Final = "split_part(certificate_id, '-', 1)"
"""The certificate of all whom retention removed at once; each has a number behind it."""


class ForgetError(Exception):
    """Nobody was forgotten; the message says why."""


class SeveralPeopleError(ForgetError):
    """More than one person fits."""


def forget(settings: Settings, question: Question, reason: str | None, say: Say) -> list[dict[str, Any]]:
    """Finish what was begun, then forget who is meant; return the certificates. Raises ForgetError."""
    key = _key_of(settings)
    with _alone(settings, say) as administrator:
        lake = lake_of(settings)
        issued = [each for order in pending(lake) for each in carry_out(settings, order, key, administrator, say)]
        try:
            order = _order(settings, lake, question, reason, key)
        except (NothingFoundError, NothingPublishedError) as error:
            if issued:
                return issued
            raise ForgetError(str(error)) from None
        order.keep(lake)
        return [*issued, *carry_out(settings, order, key, administrator, say)]


def unforget(settings: Settings, tenant_id: str, certificate_id: str, reason: str | None, say: Say) -> int:
    """Take the tombstones of a certificate away, and have every service read whole; return how many there were."""
    _key_of(settings)
    with _alone(settings, say) as administrator:
        lake, params = lake_of(settings), {"tenant": tenant_id, "certificate": certificate_id}
        if any(order.certificate_id == certificate_id.partition("-")[0] for order in pending(lake)):
            raise ForgetError(f"{certificate_id} is not finished yet: run forget again first")
        with administrator.begin() as connection:
            for table in schema.KEPT:
                connection.execute(
                    text(f"""delete from {schema.SCHEMA}.{table.name}
                        where tenant_id = :tenant and :certificate in (certificate_id, {_OF_ALL})"""),
                    params,
                )
        with closing(lake.connect()) as con:
            lifted = _lift(con, lake, tenant_id, certificate_id)
        if not lifted:
            raise ForgetError(f"{tenant_id} has no certificate {certificate_id}")
        with administrator.begin() as connection:
            schema.record(connection, "UNFORGET", tenant_id, subject=certificate_id, reason=reason)
    return lifted


def keep_casual_golfers(settings: Settings, tenant_id: str, months: int | None, reason: str | None) -> None:
    """Set for how many months inactive casual golfers of a club are kept; None is for ever. Raises ForgetError."""
    _key_of(settings)
    administrator, warehouse, lake = administrator_engine(settings), warehouse_of(settings), lake_of(settings)
    with closing(lake.connect()) as con:
        clubs = con.sql(f"select tenant_id from {lake.current(con, crm.tenant)} where tenant_id <> ''").fetchall()
    if (tenant_id,) not in clubs:
        raise ForgetError(no_such_tenant([tenant_id], (club for (club,) in clubs)))
    with administrator.begin() as connection:
        schema.prepare(connection, warehouse.url)
        schema.set_months_kept(connection, tenant_id, months)
        kept = f"casual golfers: {f'{months} months' if months else 'for ever'}"
        schema.record(connection, "RETENTION", tenant_id, subject=kept, reason=reason)


def record_explain(settings: Settings, question: Question) -> None:
    """Put on record that somebody is asked about, before anything is answered. Raises ForgetError where nobody may."""
    warehouse = settings.warehouse_url or started(settings.home).url("crm")
    if not settings.warehouse_url or settings.warehouse_admin_url:
        with administrator_engine(settings).begin() as connection:
            if not schema.is_prepared(connection):
                schema.prepare(connection, warehouse_of(settings).url)
    subject = None
    if settings.erasure_key and question.by == "profile":
        subject = _subject(settings.erasure_key, question.tenant_id, question.value.strip().lower())
    try:
        with Warehouse(warehouse).engine().begin() as connection:
            schema.record(connection, "EXPLAIN", question.tenant_id, subject=subject)
    except DBAPIError as error:
        said = str(error.orig).splitlines()[0]
        raise ForgetError(
            f"what is asked has to be recorded, and cannot be: {said}."
            " An administrator prepares it: any command with WAREHOUSE_ADMIN_URL set"
        ) from None


@contextmanager
def _alone(settings: Settings, say: Say) -> Iterator[Engine]:
    """The administrator, while no run works."""
    administrator, warehouse = administrator_engine(settings), warehouse_of(settings)
    with hold_tenants(warehouse, "forget", None, say):
        with administrator.begin() as connection:
            schema.prepare(connection, warehouse.url)
        yield administrator


def _key_of(settings: Settings) -> str:
    if settings.erasure_key is None:
        raise ForgetError(
            "ERASURE_KEY is not set, and tombstones without a key could be guessed: make one"
            " (python -c 'import secrets; print(secrets.token_urlsafe(32))'), keep it, and give it to every run"
        )
    return settings.erasure_key


def _order(settings: Settings, lake: Lake, question: Question, reason: str | None, key: str) -> Order:
    with closing(lake.connect()) as con:
        with read_published(settings, question.tenant_id) as published:
            people = KnownPeople.load(con, lake, question.tenant_id, published.as_of)
            found = find(question, published, people)
        if len(found.profile_ids) > 1:
            raise SeveralPeopleError(
                f"{len(found.profile_ids)} people fit; give one of these with --profile: {', '.join(found.profile_ids)}"
            )
        [profile_id] = found.profile_ids
        asked, at = _subject(key, question.tenant_id, profile_id), datetime.now(UTC)
        who = {Subject(question.tenant_id, profile_id): at}
        return order_to_forget(con, lake, who, at=at, asked=asked, reason=reason)


def _subject(key: str, tenant_id: str, profile_id: str) -> str:
    return tombstone(key, Record(tenant_id, Service.CRM.value, PROFILE, profile_id))


def _lift(con: DuckDBPyConnection, lake: Lake, tenant_id: str, certificate_id: str) -> int:
    now, scope, lifted = datetime.now(UTC), f"'{certificate_id}' in (certificate_id, {_OF_ALL})", 0
    for table in schema.KEPT:
        nothing = f"(from {lake.current(con, table, name='kept_now')} where false)"
        changes = lake.replace(con, table, nothing, tenants=[tenant_id], known_at=now, scope=scope)
        lifted += changes.removed if table is privacy.tombstones else 0
    total_up(con, lake, [tenant_id], now)
    # Else a database would not be asked again for rows it has delivered already.
    covered = operations.service_snapshots
    nothing = f"(from {lake.current(con, covered, name='covered_now')} where false)"
    if last := lake.latest(con, covered):
        lake.replace(con, covered, nothing, tenants=[tenant_id, ""], known_at=last)
    return lifted
