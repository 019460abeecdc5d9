"""Tests of `crm_pipeline.resources.lake`."""
