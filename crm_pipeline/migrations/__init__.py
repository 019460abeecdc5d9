"""Alembic revisions that upgrade the warehouse of an older release; each is reviewed by hand.

A new warehouse is created directly; a test compares both schemas. Partitions follow their parent table.
`python -m crm_pipeline.migrations MESSAGE HOME` drafts the next revision.
"""
