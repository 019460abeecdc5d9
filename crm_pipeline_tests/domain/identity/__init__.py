"""Tests of `crm_pipeline.domain.identity`."""
