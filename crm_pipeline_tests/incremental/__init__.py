"""Tests of `crm_pipeline.incremental`."""
