"""Access to everything outside the process: sources, lake, warehouse, PostgreSQL servers, Dagster's storage."""
