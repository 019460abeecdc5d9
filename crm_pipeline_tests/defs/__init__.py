"""Tests of `crm_pipeline.defs`."""
