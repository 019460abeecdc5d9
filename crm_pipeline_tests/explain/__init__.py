"""Tests of `crm_pipeline.explain`."""
