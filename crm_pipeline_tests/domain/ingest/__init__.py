"""Tests of `crm_pipeline.domain.ingest`."""
