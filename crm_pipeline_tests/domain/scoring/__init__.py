"""Tests of `crm_pipeline.domain.scoring`."""
