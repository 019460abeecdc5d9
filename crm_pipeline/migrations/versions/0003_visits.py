"""Visits: what a timeline event says of them, and the rules that a churn model was fitted by."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds the columns; rows published before have none of it until the next run.

    A schema without a revision counts as the first, even if it was made by this release.
    """
    for table, column in (
        (
            "customer_timeline",
            sa.Column("visit_kind", sa.Text, comment="What it says of visits; null where its type says all."),
        ),
        (
            "customer_timeline",
            sa.Column(
                "visit_at",
                sa.DateTime(timezone=True),
                comment="Tee time of a booking not marked yet or cancelled; of a payment for a booking, the tee time"
                " if visited.",
            ),
        ),
        (
            "churn_models",
            sa.Column(
                "rules_version",
                sa.BigInteger,
                comment="Which rules of visits and signs it was fitted by; null for the first.",
            ),
        ),
    ):
        op.add_column(table, column, schema="crm", if_not_exists=True)
