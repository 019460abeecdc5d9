"""The state of a club and of its services' snapshots, and the reason in words, from hand-written refreshes."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from sqlalchemy import text

from crm_pipeline.domain.freshness import LATE_AFTER, build_service_freshness_query, build_tenant_freshness_query
from crm_pipeline.resources.warehouse.freshness import TenantFreshness, find_news, read_freshness
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.views import PUBLISHED_VIEWS, service_freshness, tenant_freshness
from crm_pipeline.vocabulary import SnapshotState, TenantState
from crm_pipeline_tests.fixtures.servers.warehouses import ask, connected

NOON, ONE = datetime(2026, 3, 31, 12, tzinfo=UTC), datetime(2026, 3, 31, 13, tzinfo=UTC)
CLOCK = f"timestamptz '{ONE + LATE_AFTER}'"
IN_TIME, TOO_OLD = ONE, ONE - timedelta(seconds=1)
WRONG_ZONE = "its Tenant row is wrong: timezone:INVALID_SETTING"


class Club(NamedTuple):
    """A club as its last refresh, as of 13:00, left it, and what is said of it."""

    state: str
    reason: str
    tables_of: datetime | None
    status: str | None = "ACTIVE"
    unpublished_reason: str | None = None
    refreshed_at: datetime = IN_TIME


CLUBS = {
    "published": Club("FRESH", "Published by the last refresh.", ONE),
    "suspended": Club("FRESH", "Published by the last refresh.", ONE, status="SUSPENDED"),
    "forgotten": Club("LATE", "No refresh since 2026-03-31 12:59 UTC.", ONE, refreshed_at=TOO_OLD),
    "wrong": Club("STUCK", f"The tables keep 2026-03-31 12:00 UTC: {WRONG_ZONE}", NOON, None, WRONG_ZONE),
    "wrong and forgotten": Club(
        "STUCK", f"The tables keep 2026-03-31 12:00 UTC: {WRONG_ZONE}", NOON, None, WRONG_ZONE, TOO_OLD
    ),
    "new and wrong": Club("NEVER_PUBLISHED", f"Nothing has been published: {WRONG_ZONE}", None, None, WRONG_ZONE),
    "dropped": Club("NEVER_PUBLISHED", "Nothing has been published: the next refresh does it", None),
    "closed": Club("CLOSED", "Closed in the CRM: what was published last stays.", NOON, "CLOSED", None, TOO_OLD),
}
SNAPSHOTS = {"SCL": ONE, "TEETIME": NOON, "CRM": ONE}


def store(warehouse: Warehouse, name: str, club: Club) -> None:
    """Stores what a run stores of a club: its refresh, its two tables and its snapshots."""
    with connected(warehouse) as connection:
        connection.execute(
            text("insert into crm.tenant_refreshes values (:tenant, :status, :reason, :as_of, :refreshed_at, 'run')"),
            {
                "tenant": name,
                "status": club.status,
                "reason": club.unpublished_reason,
                "as_of": ONE,
                "refreshed_at": club.refreshed_at,
            },
        )
        tables = dict.fromkeys(("customer_profiles", "customer_timeline") if club.tables_of else (), club.tables_of)
        snapshots = {f"{service}.snapshot": as_of for service, as_of in SNAPSHOTS.items()}
        for rows, (table, as_of) in enumerate((tables | snapshots).items(), start=5):
            connection.execute(
                text("insert into crm.publications values (:table, :tenant, 'run', :as_of, :rows, 1, :as_of)"),
                {"table": table, "tenant": name, "as_of": as_of, "rows": rows},
            )


@pytest.fixture
def clubs(warehouse: Warehouse) -> Warehouse:
    """A warehouse with the refreshes of all clubs."""
    for name, club in CLUBS.items():
        store(warehouse, name, club)
    return warehouse


def test_a_club_is_closed_never_published_stuck_late_or_fresh_in_this_order(clubs: Warehouse) -> None:
    found = ask(clubs, f"select tenant_id, state, reason, as_of from ({build_tenant_freshness_query(CLOCK)}) t")
    assert {name: tuple(rest) for name, *rest in found} == {
        name: (club.state, club.reason, club.tables_of) for name, club in CLUBS.items()
    }


def test_a_snapshot_is_of_the_last_refresh_or_an_older_one_serves_or_there_is_none(clubs: Warehouse) -> None:
    query = f"select service, state, reason, as_of from ({build_service_freshness_query(CLOCK)}) s"
    assert {row[0]: row[1:] for row in ask(clubs, f"{query} where tenant_id = 'published'")} == {
        "SCL": ("FRESH", "Read by the last refresh.", ONE),
        "TEETIME": ("FAILED", "Not read since 2026-03-31 12:00 UTC: its last snapshot serves.", NOON),
        "MESSAGING": ("NEVER_READ", "Never read.", None),
        "CRM": ("FRESH", "Read by the last refresh.", ONE),
    }
    late = {row[0]: row[1:3] for row in ask(clubs, f"{query} where tenant_id = 'forgotten'")}
    assert late["SCL"] == ("LATE", "No refresh since 2026-03-31 12:59 UTC.")
    assert late["TEETIME"][0] == "FAILED"


def test_the_views_have_the_declared_columns_with_their_comments(warehouse: Warehouse) -> None:
    for view in PUBLISHED_VIEWS:
        found = ask(
            warehouse,
            f"""select attname, col_description(attrelid, attnum) from pg_attribute
                where attrelid = 'crm.{view.name}'::regclass and attnum > 0 order by attnum""",
        )
        assert found == [(column.name, column.comment) for column in view.columns]
    assert ask(warehouse, "select count(*) from crm.tenant_freshness") == [(0,)]


def test_the_states_are_those_of_the_vocabulary() -> None:
    assert {club.state for club in CLUBS.values()} == set(TenantState)
    assert tenant_freshness.c.state.info["allowed"] == tuple(TenantState)
    assert service_freshness.c.state.info["allowed"] == tuple(SnapshotState)


def read(warehouse: Warehouse) -> dict[str, TenantFreshness]:
    """What readers get: of now, and so every open club is late by years."""
    with connected(warehouse) as connection:
        return {club.tenant_id: club for club in read_freshness(connection)}


def test_readers_get_counts_and_services_in_order_and_sentences_of_what_was_not_read(clubs: Warehouse) -> None:
    club = read(clubs)["wrong"]
    assert (club.profiles, club.timeline_events, club.as_of) == (5, 6, NOON)
    assert [service.service for service in club.services] == ["SCL", "TEETIME", "MESSAGING", "CRM"]
    assert club.sentences == (
        f"The tables keep 2026-03-31 12:00 UTC: {WRONG_ZONE}",
        "TEETIME FAILED: Not read since 2026-03-31 12:00 UTC: its last snapshot serves.",
        "MESSAGING NEVER_READ: Never read.",
    )
    closed = read(clubs)["closed"]
    assert (closed.is_fresh, closed.sentences) == (True, (CLUBS["closed"].reason,))


def test_a_club_that_lacks_a_service_is_not_fresh_though_its_tables_are(warehouse: Warehouse) -> None:
    store(warehouse, "links", CLUBS["published"]._replace(refreshed_at=datetime.now(UTC)))
    assert read(warehouse)["links"].state == "FRESH"
    assert not read(warehouse)["links"].is_fresh
    ask(warehouse, f"update crm.publications set as_of = '{ONE}'")
    ask(
        warehouse, f"insert into crm.publications values ('MESSAGING.snapshot', 'links', 'run', '{ONE}', 1, 1, '{ONE}')"
    )
    assert read(warehouse)["links"].is_fresh


def test_news_are_clubs_to_look_at_and_those_that_changed(clubs: Warehouse) -> None:
    before = list(read(clubs).values())
    closed = next(club for club in before if club.tenant_id == "closed")
    assert closed not in find_news(before, before)
    assert closed in find_news([], before)
    assert {club.tenant_id for club in find_news(before, before)} == CLUBS.keys() - {"closed"}
