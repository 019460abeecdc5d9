"""Tests of `crm_pipeline.resources.sources`."""
