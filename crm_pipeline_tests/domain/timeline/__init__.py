"""Tests of `crm_pipeline.domain.timeline`."""
