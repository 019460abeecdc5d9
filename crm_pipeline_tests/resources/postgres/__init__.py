"""Tests of `crm_pipeline.resources.postgres`."""
