"""The published assets, their checks, and the reconciliation."""
