"""Tests of `crm_pipeline.end_to_end`."""
