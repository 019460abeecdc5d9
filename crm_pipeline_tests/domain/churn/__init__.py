"""Tests of `crm_pipeline.domain.churn`."""
