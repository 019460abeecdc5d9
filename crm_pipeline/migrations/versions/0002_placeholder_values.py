"""Quarantined records say which placeholder was read as none."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the column; it has no value until the records are quarantined anew.

    A schema without a revision counts as the first, even if it was made by this release.
    """
    op.execute("alter table crm.quarantined_records add column if not exists value text")
    op.execute(
        "comment on column crm.quarantined_records.value is"
        " 'The placeholder that was read as none; null for other reasons.'"
    )
