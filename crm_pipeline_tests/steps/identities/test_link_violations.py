"""The check of stored links finds nothing where they are right, also in an hour that splits a profile."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from crm_pipeline.tables.outputs.identity import profile_ids
from crm_pipeline_tests.fixtures.histories.incremental import Hours
from crm_pipeline_tests.fixtures.histories.moving_services import delivered

NOON: Final = datetime(2026, 3, 24, 12, tzinfo=UTC)


def find_profile_ids(hours: Hours) -> set[str]:
    with closing(hours.lake.connect()) as con:
        view = hours.lake.create_current_view(con, profile_ids)
        return {str(profile) for (profile,) in con.sql(f"select profile_id from {view} where is_live").fetchall()}


def test_records_that_get_a_profile_of_their_own_are_no_fault(tmp_path: Path) -> None:
    services = delivered(tmp_path / "services", tenants=1, people=300, events=300, until=NOON)
    hours = Hours(tmp_path, services)
    hours.refresh(NOON)
    before, an_hour_later = find_profile_ids(hours), NOON + timedelta(hours=1)
    members = services.tables["Member"]
    for member, other in zip(members[:10], members[10:20], strict=True):
        member.update(email=other["email"], phoneNumber="", updatedAt=f"{an_hour_later:%Y-%m-%dT%H:%M:%SZ}")
    services.deliver(services.folder)
    # Fails where the check finds anything.
    hours.refresh(an_hour_later)
    assert find_profile_ids(hours) - before
