"""Stage changes are told once each, also after runs that ended between keeping them and keeping their profiles."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from crm_pipeline.cli.options import override_environment
from crm_pipeline.defs import resources
from crm_pipeline.resources.connections import open_lake
from crm_pipeline.resources.lake.lake import ChangeCounts, Lake
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import clean_environment, refresh

IN_MAY, IN_AUGUST, IN_NOVEMBER = "2026-05-31T12:00:00Z", "2026-08-31T12:00:00Z", "2026-11-30T12:00:00Z"


class AbortError(Exception):
    """What ends a run here."""


class EndingLake(Lake):
    """A lake whose process ends when profiles are to be kept."""

    def replace(self, con: Any, table: Any, *args: Any, **kwargs: Any) -> ChangeCounts:  # noqa: ANN401
        if table is customer_profiles:
            raise AbortError
        return super().replace(con, table, *args, **kwargs)


def abort(home: Path, as_of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends after it has put its stage changes on the timeline."""
    with monkeypatch.context() as patched:
        patched.setattr(resources, "open_lake", lambda settings: EndingLake(settings.lake_url, settings.home / "spill"))
        assert [fault for fault in refresh(home, as_of=as_of).failures if "profile_scores" in fault]


def told(home: Path) -> list[tuple[Any, ...]]:
    """Every stage change in the lake: when, whose, from what to what."""
    query = """
        select occurred_at::varchar, tenant_id, profile_id, details ->> 'from_stage', details ->> 'to_stage'
        from {table} where event_type = 'STAGE_CHANGED' order by all"""
    return kept(home, customer_timeline, query)


def stages(home: Path) -> dict[tuple[str, str], str]:
    rows = kept(home, customer_profiles, "select tenant_id, id, lifecycle_stage from {table} order by all")
    return {(tenant, profile): stage for tenant, profile, stage in rows}


def kept(home: Path, table: Any, query: str) -> list[tuple[Any, ...]]:  # noqa: ANN401
    with clean_environment():
        lake = open_lake(override_environment(home))
    with closing(lake.connect()) as con:
        return con.sql(query.format(table=lake.create_current_view(con, table))).fetchall()


def changed(before: dict[tuple[str, str], str], after: dict[tuple[str, str], str], when: str) -> list[tuple[Any, ...]]:
    return sorted((when, *who, before[who], stage) for who, stage in after.items() if stage != before[who])


@pytest.mark.skipif(not SOAK, reason="half a minute of whole runs: make soak")
@pytest.mark.parametrize("later", [IN_MAY, IN_AUGUST] if SOAK else [IN_AUGUST])
def test_a_run_that_ended_in_between_leaves_no_change_twice_and_none_untold(
    later: str, refreshed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stages(refreshed)
    abort(refreshed, IN_MAY, monkeypatch)
    assert told(refreshed)
    assert stages(refreshed) == before
    assert refresh(refreshed, as_of=later).failures == []
    middle = stages(refreshed)
    first = changed(before, middle, f"{later[:10]} 12:00:00+00")
    assert first
    assert told(refreshed) == first
    abort(refreshed, IN_NOVEMBER, monkeypatch)
    assert refresh(refreshed, as_of="2026-12-01T12:00:00Z").failures == []
    assert told(refreshed) == first + changed(middle, stages(refreshed), "2026-12-01 12:00:00+00")
