"""Schema `crm` in PostgreSQL: its tables, who may read them, and publication from the lake."""
