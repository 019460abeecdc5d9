"""The first schema: runs `first_schema.sql`, which never changes once released."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates every table, index, comment and view."""
    op.get_bind().exec_driver_sql(Path(__file__).with_name("first_schema.sql").read_text(encoding="utf-8"))
