"""A step in tenant batches: its memory is bounded, and its results are the same."""

from contextlib import closing
from pathlib import Path

import pytest

from crm_pipeline import run_context
from crm_pipeline.cli.options import override_environment
from crm_pipeline.resources.connections import open_lake
from crm_pipeline.steps.publish.publish import TENANT_TABLES
from crm_pipeline.tables.outputs import identity, profiles, timeline
from crm_pipeline_tests.fixtures.homes.runs import contents
from crm_pipeline_tests.fixtures.homes.support import clean_environment, refresh

STORED_IN_BATCHES = (
    identity.customer_identities,
    identity.identity_reviews,
    identity.profile_events,
    identity.profile_ids,
    profiles.customer_profiles,
    timeline.customer_timeline,
)


def test_a_refresh_in_batches_stores_what_one_batch_does(
    sample_home: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_context, "MAX_BATCH_ROWS", 1)
    assert refresh(own_home).failures == []
    for table in TENANT_TABLES:
        assert contents(own_home, table.name) == contents(sample_home, table.name)
    with clean_environment(), closing(open_lake(override_environment(own_home)).connect()) as con:
        lake = open_lake(override_environment(own_home))
        for table in STORED_IN_BATCHES:
            versions = con.sql(f"select distinct _version from {lake.create_log_view(con, table)}").fetchall()
            assert versions == [(0,)], f"{table.name}: reading it would cost more than after one commit"
