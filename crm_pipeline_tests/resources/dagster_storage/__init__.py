"""Tests of `crm_pipeline.resources.dagster_storage`."""
