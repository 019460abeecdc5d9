"""Tests of `crm_pipeline.sample`."""
