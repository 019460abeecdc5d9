"""Tests of `crm_pipeline.domain.profile_facts`."""
