"""A row that is delivered twice, identical, keeps its event, in an incremental hour as in a cold build."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline_tests.fixtures.histories.incremental import Hours
from crm_pipeline_tests.fixtures.scores.random_clubs import deliver, make_club, stamp

NOON = datetime(2026, 3, 24, 12, tzinfo=UTC)
EVENT_TABLES = (
    *("TierChange", "Payment", "Booking", "HandicapUpdate", "CompetitionEntry", "MessageEvent"),
    *("Note", "ProfileTag", "CampaignInteraction", "Referral"),
)


def events(hours: Hours) -> list[tuple[Any, ...]]:
    with closing(hours.lake.connect()) as con:
        columns = ", ".join(column.key for column in customer_timeline.columns)
        view = hours.lake.create_current_view(con, customer_timeline)
        return con.sql(f"select {columns} from {view} order by event_id").fetchall()


def test_rows_that_come_again_keep_their_events(tmp_path: Path) -> None:
    club = make_club("club-1", NOON, "delivered twice")
    hours = Hours(tmp_path, deliver([club], tmp_path / "services"))
    hours.refresh(NOON)
    [(_, profile), (_, friend), *_] = hours.services.profiles
    at, member = stamp(NOON), club.tables["Member"][0]["id"]
    club.add("Referral", at, referrerProfileId=profile, referredProfileId=friend, occurredAt=at)
    club.add("CampaignInteraction", at, profileId=profile, campaignId="spring", kind="RESPONDED", occurredAt=at)
    club.add("Note", at, profileId=profile, body="Called", createdAt=at)
    club.add("ProfileTag", at, profileId=profile, tag="vip", addedAt=at)
    club.add("TierChange", at, memberId=member, toTier="Gold", changedAt=at)
    deliver([club], tmp_path / "services")
    hours.refresh(NOON + timedelta(hours=1))
    once = events(hours)
    for table in EVENT_TABLES:
        club.tables[table].append(club.tables[table][-1].copy())
    deliver([club], tmp_path / "services")
    hours.refresh(NOON + timedelta(hours=2))
    assert events(hours) == once
    assert {row[3] for row in hours.quarantined() if "DUPLICATE_KEY" in row} == set(EVENT_TABLES)
