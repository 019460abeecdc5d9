"""The lake: an append-only change log per table, in Delta Lake."""
