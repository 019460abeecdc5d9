"""Tests of `crm_pipeline.steps`."""
