"""Tests of `crm_pipeline.resources.privacy`."""
