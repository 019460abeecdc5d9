"""Tests of `crm_pipeline.cli`."""
