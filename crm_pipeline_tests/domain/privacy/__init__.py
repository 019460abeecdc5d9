"""Tests of `crm_pipeline.domain.privacy`."""
