"""Tests of `crm_pipeline.domain.contact_keys`."""
