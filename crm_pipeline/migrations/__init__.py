"""Alembic revisions that upgrade the warehouse of an older release; each is reviewed by hand.

A new warehouse is created directly; a test compares both schemas. Partitions follow their parent table. Views, and
tables that no revision makes, are created after the last revision.
`python -m crm_pipeline.migrations MESSAGE HOME` drafts the next revision.
"""
