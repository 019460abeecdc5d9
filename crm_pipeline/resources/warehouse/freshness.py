"""Freshness of the clubs, read from the warehouse's views: what `status`, Data Docs, Dagster and alerts all say."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, select

from crm_pipeline.tables.views import service_freshness, tenant_freshness
from crm_pipeline.vocabulary import Service, SnapshotState, TenantState

UNREAD_STATES = (SnapshotState.FAILED, SnapshotState.NEVER_READ)


class ServiceFreshness(NamedTuple):
    """A club's snapshot of a service: a row of view service_freshness without the club."""

    service: Service
    state: SnapshotState
    reason: str
    as_of: datetime | None
    rows: int | None


@dataclass(frozen=True)
class TenantFreshness:
    """A club: a row of view tenant_freshness, with its services."""

    tenant_id: str
    state: TenantState
    reason: str
    as_of: datetime | None
    published_at: datetime | None
    refreshed_at: datetime
    status: str | None
    profiles: int | None
    timeline_events: int | None
    services: tuple[ServiceFreshness, ...]

    @property
    def is_fresh(self) -> bool:
        """Whether nobody has to look: its tables are of its last refresh, with every service; or it is closed."""
        is_complete = all(service.state not in UNREAD_STATES for service in self.services)
        return self.state == TenantState.CLOSED or (self.state == TenantState.FRESH and is_complete)

    @property
    def sentences(self) -> tuple[str, ...]:
        """Returns its reason and that of every service that was not read; of a closed club its own alone."""
        if self.state == TenantState.CLOSED:
            return (self.reason,)
        unread = (service for service in self.services if service.state in UNREAD_STATES)
        return (self.reason, *(f"{service.service} {service.state}: {service.reason}" for service in unread))


def read_freshness(connection: Connection) -> list[TenantFreshness]:
    """Returns every club that a refresh ever covered, as of now, by id.

    Reads: crm.tenant_freshness, crm.service_freshness.
    """
    services: dict[str, list[ServiceFreshness]] = defaultdict(list)
    for row in _read_view(connection, service_freshness):
        words = {"service": Service(row["service"]), "state": SnapshotState(row["state"])}
        services[row.pop("tenant_id")].append(ServiceFreshness(**row | words))
    order = list(Service)
    return [
        TenantFreshness(
            **row | {"state": TenantState(row["state"])},
            services=tuple(sorted(services[row["tenant_id"]], key=lambda each: order.index(each.service))),
        )
        for row in _read_view(connection, tenant_freshness)
    ]


def find_news(before: Sequence[TenantFreshness], after: Sequence[TenantFreshness]) -> list[TenantFreshness]:
    """Returns the clubs of `after` that somebody has to look at, or that are not as they were `before`."""
    known = {club.tenant_id: (club.state, club.sentences) for club in before}
    return [club for club in after if not club.is_fresh or known.get(club.tenant_id) != (club.state, club.sentences)]


def _read_view(connection: Connection, view: Table) -> Iterator[dict[str, Any]]:
    for row in connection.execute(select(*view.columns).order_by(*view.primary_key)).mappings():
        yield {name: value.astimezone(UTC) if isinstance(value, datetime) else value for name, value in row.items()}
