"""The status of every club: how fresh it is and why, its services, and what is open; as a table or as JSON."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from rich.console import Console
from sqlalchemy import text

from crm_pipeline.cli.output.fact_table import Fact, print_facts
from crm_pipeline.resources.warehouse.freshness import TenantFreshness, read_freshness
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.views import tenant_freshness

OPEN_MATTERS_QUERY = text("""
    select tenant_id,
        (select count(*) from crm.identity_reviews r where r.tenant_id = t.tenant_id and closed_at is null)
            as open_reviews,
        (select count(*) from crm.quarantined_records q where q.tenant_id = t.tenant_id) as quarantined_records,
        -- Of a decision without an id, the fault that it has none counts.
        (select count(distinct (table_name, coalesce(service_record_id, quarantine_id)))
            filter (where service_record_id is not null or reason = 'MISSING_KEY') from crm.quarantined_records q
            where q.tenant_id = t.tenant_id and table_name in ('IdentityOverride', 'SuppressedIdentifier'))
            as ineffective_decisions,
        (select coalesce(json_agg(json_build_object(
                'suite', suite, 'expectation', expectation, 'is_critical', is_critical, 'observed', observed)
                order by suite, expectation), '[]')
            from crm.data_quality_results d where d.tenant_id = t.tenant_id and not success) as failed_checks
    from crm.tenant_refreshes t""")
HEADINGS = (
    "tenant",
    "state",
    "why",
    "as of",
    "last change",
    "services",
    "open reviews",
    "quarantined",
    "decisions without effect",
    "failed checks",
)


class ClubStatus(NamedTuple):
    """A club: how fresh it is, and what is open, by the names of `OPEN_MATTERS_QUERY`."""

    freshness: TenantFreshness
    matters: dict[str, Any]


def read_status(warehouse: Warehouse) -> list[ClubStatus]:
    """Returns every club that a refresh ever covered, by id."""
    with warehouse.engine().connect() as connection:
        clubs = read_freshness(connection)
        matters = {row["tenant_id"]: dict(row) for row in connection.execute(OPEN_MATTERS_QUERY).mappings()}
    return [ClubStatus(club, matters[club.tenant_id]) for club in clubs]


def build_status_document(clubs: Sequence[ClubStatus]) -> dict[str, Any]:
    """Returns the document of `status --json`, as `json_schemas.py` describes it."""
    return {"tenants": [_build_club_document(club) for club in clubs]}


def print_status(console: Console, clubs: Sequence[ClubStatus]) -> None:
    """Prints a row per club."""
    if not clubs:
        console.print("Nothing has been published yet: crm-pipeline run")
        return
    caption = "what to do about each state is in docs/operations.md"
    print_facts(console, "Clubs, times in UTC", HEADINGS, [_build_club_facts(*club) for club in clubs], caption)


def _build_club_document(club: ClubStatus) -> dict[str, Any]:
    facts = {column.name: getattr(club.freshness, column.name) for column in tenant_freshness.columns}
    return {**facts, "services": [service._asdict() for service in club.freshness.services], **club.matters}


def _build_club_facts(club: TenantFreshness, matters: dict[str, Any]) -> Sequence[Fact]:
    """Returns the facts in the order of HEADINGS."""
    return (
        club.tenant_id,
        club.state,
        club.sentences,
        _format_hour(club.as_of),
        _format_hour(club.published_at),
        [f"{service.service} {service.state} {_format_hour(service.as_of)}".strip() for service in club.services],
        matters["open_reviews"],
        matters["quarantined_records"],
        matters["ineffective_decisions"],
        [f"{check['suite']}: {check['expectation']}" for check in matters["failed_checks"]] or "none",
    )


def _format_hour(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else ""
