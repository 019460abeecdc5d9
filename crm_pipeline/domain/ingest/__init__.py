"""Validation of a delivery: its size, its tenants, its rows and their values."""
