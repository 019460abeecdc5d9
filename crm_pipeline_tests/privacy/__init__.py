"""Tests of `crm_pipeline.privacy`."""
