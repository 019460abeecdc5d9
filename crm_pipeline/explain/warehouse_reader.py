"""The published tables of one tenant, read in one snapshot of the database."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, and_, case, func, inspect, or_, select, tuple_

from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters, format_unknown_tenants
from crm_pipeline.explain.formatting import Row
from crm_pipeline.resources.postgres.embedded import start_embedded_postgres
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.settings import Settings
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.outputs.identity import customer_identities, identity_reviews, profile_events, profile_ids
from crm_pipeline.tables.outputs.operations import publications, quarantined_records
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.tables.views import tenant_freshness
from crm_pipeline.vocabulary import ReviewKind, Service, VisitKind


class ProfileNotFoundError(Exception):
    """No profile matches the lookup, or nothing is published for the tenant; the message says why in one line."""


class RecordKey(NamedTuple):
    """The key of a service's record."""

    service: str
    record_id: str


@dataclass(frozen=True)
class PublishedTenant:
    """The published rows of one tenant, all from the same snapshot of the database."""

    connection: Connection
    tenant_id: str
    as_of: datetime

    def rows(self, table: Table, *conditions: ColumnElement[bool], order: Sequence[Any] = ()) -> list[Row]:
        """Returns the tenant's rows of a table, by default in the order of its primary key."""
        query = select(*table.columns).where(table.c.tenant_id == self.tenant_id, *conditions)
        rows = self.connection.execute(query.order_by(*(order or table.primary_key))).mappings()
        return [dict(row) for row in rows]

    def profiles(self, ids: Collection[str]) -> list[Row]:
        """Returns those of these profiles that are live."""
        return self.rows(customer_profiles, customer_profiles.c.id.in_(ids))

    def profile_ids_with_value(self, column: str, value: str) -> list[str]:
        """Returns the ids of the profiles whose golden record has this value."""
        return [str(row["id"]) for row in self.rows(customer_profiles, customer_profiles.c[column] == value)]

    def links_of_profile(self, profile_id: str) -> list[Row]:
        """Returns the rows of customer_identities of a profile."""
        return self.rows(customer_identities, customer_identities.c.profile_id == profile_id)

    def links_of_records(self, records: Collection[RecordKey]) -> list[Row]:
        """Returns the rows of customer_identities of these records."""
        key = tuple_(customer_identities.c.service, customer_identities.c.service_record_id)
        return self.rows(customer_identities, key.in_(records))

    def reviews(self, records: Collection[RecordKey], shared: Collection[tuple[str, str]]) -> list[Row]:
        """Returns all reviews, open and closed, about these records or these shared values (kind, value)."""
        c, witness = identity_reviews.c, identity_reviews.c.witness
        values = tuple_(witness["kind"].astext, witness["value"].astext)
        return self.rows(
            identity_reviews,
            or_(
                tuple_(c.service_a, c.record_id_a).in_(records),
                tuple_(c.service_b, c.record_id_b).in_(records),
                and_(c.kind == ReviewKind.SHARED, values.in_(shared)),
            ),
        )

    def profile_id_rows(self, profile_id: str) -> list[Row]:
        """Returns the row of a profile id and of every id that redirects to it, oldest first."""
        c = profile_ids.c
        return self.rows(
            profile_ids, or_(c.profile_id == profile_id, c.redirects_to == profile_id), order=[c.birth_order]
        )

    def profile_id_events(self, ids: Collection[str]) -> list[Row]:
        """Returns the events of these profile ids, oldest first, as subject or as the other id."""
        c = profile_events.c
        condition = or_(c.profile_id.in_(ids), c.other_profile_id.in_(ids))
        return self.rows(profile_events, condition, order=[c.occurred_at, c.event_type, c.event_id])

    def timeline(self, profile_id: str) -> list[Row]:
        """Returns every timeline event of a profile, oldest first."""
        c = customer_timeline.c
        return self.rows(customer_timeline, c.profile_id == profile_id, order=[c.occurred_at, c.event_id])

    def last_transactions(self, ids: Collection[str], today: datetime) -> dict[str, datetime]:
        """Returns when each of these profiles last paid or played; profiles that never did are missing.

        A paid booking that nobody marked was played if its tee time lies before `today`, when the tenant's day began.
        """
        c = customer_timeline.c
        is_visit = and_(c.visit_kind == VisitKind.BOOKED_PAID, c.visit_at < today)
        query = select(c.profile_id, func.max(case((is_visit, c.visit_at), else_=c.occurred_at))).where(
            c.tenant_id == self.tenant_id,
            c.profile_id.in_(ids),
            or_(c.counts_as.in_(("PAYMENT", "ROUND_PLAYED")), is_visit),
        )
        return {row[0]: row[1] for row in self.connection.execute(query.group_by(c.profile_id))}

    def quarantined_rows(self, records: Collection[RecordKey]) -> list[Row]:
        """Returns the rows of quarantined_records about these person records."""
        c = quarantined_records.c
        keys = [(key.service, PERSON_TABLES[Service(key.service)].name, key.record_id) for key in records]
        return self.rows(quarantined_records, tuple_(c.service, c.table_name, c.service_record_id).in_(keys))


@contextmanager
def read_published_tenant(settings: Settings, tenant_id: str) -> Iterator[PublishedTenant]:
    """Yields the tenant's published tables, in one read-only transaction.

    Raises:
        ProfileNotFoundError: no run has published this tenant.
    """
    engine = Warehouse(settings.warehouse_url or start_embedded_postgres(settings.home).url("crm")).engine()
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection:
        if not inspect(connection).has_table(publications.name, schema=publications.schema):
            raise ProfileNotFoundError("nothing has been published yet: crm-pipeline run")
        query = select(publications).where(publications.c.table_name == customer_profiles.name)
        as_of_by_tenant = {row.tenant_id: row.as_of for row in connection.execute(query)}
        if not as_of_by_tenant:
            raise ProfileNotFoundError("no tenant has been published: crm-pipeline run")
        if tenant_id not in as_of_by_tenant:
            raise ProfileNotFoundError(_describe_unpublished(connection, tenant_id, as_of_by_tenant))
        yield PublishedTenant(connection, tenant_id, as_of_by_tenant[tenant_id])


def _describe_unpublished(connection: Connection, tenant_id: str, published: Collection[str]) -> str:
    """Returns why nothing is published of the tenant, as its last refresh left it; that it is unknown, without one."""
    view = tenant_freshness
    if inspect(connection).has_table(view.name, schema=view.schema):
        reason = connection.execute(select(view.c.reason).where(view.c.tenant_id == tenant_id)).scalar()
        if reason is not None:
            return f"{escape_invisible_characters(tenant_id)}: {reason}"
    return format_unknown_tenants([tenant_id], published)
