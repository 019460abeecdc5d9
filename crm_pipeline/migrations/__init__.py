"""How a warehouse made by an older release becomes one of this release: Alembic revisions, each reviewed by hand.

A warehouse made anew does not come this way, but both ways end at the same schema; a test holds that. Partitions are
left out: they follow their parent. `python -m crm_pipeline.migrations "what changes"` drafts the next revision.
"""
