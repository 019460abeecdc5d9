"""The tenants of the CRM become partitions."""

from pathlib import Path

import dagster as dg
import pytest

from crm_pipeline.defs.jobs.new_tenants import discover_tenants
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.homes.support import SAMPLE


def test_tenants_are_found_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of an image start in a read-only folder; one that is gone is so for root too."""
    working_directory = tmp_path / "gone"
    working_directory.mkdir()
    monkeypatch.chdir(working_directory)
    working_directory.rmdir()
    with dg.DagsterInstance.ephemeral() as instance:
        tenants = discover_tenants(instance, Sources({Service.CRM: str(SAMPLE / "crm")}))
    assert tenants == ["fynbos-links", "heather-moor", "saguaro-ridge"]
