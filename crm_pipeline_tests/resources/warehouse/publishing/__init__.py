"""Tests of `crm_pipeline.resources.warehouse.publishing`."""
