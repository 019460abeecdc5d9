"""Freshness: the last refresh of each club."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Creates the table by `tenant_freshness.sql`; a club published before was last refreshed when it was.

    A schema without a revision counts as the first, even if it was made by this release.
    """
    op.get_bind().exec_driver_sql(Path(__file__).with_name("tenant_freshness.sql").read_text(encoding="utf-8"))
    op.execute("""
        insert into crm.tenant_refreshes (tenant_id, as_of, refreshed_at, run_id)
        select tenant_id, as_of, published_at, run_id from crm.publications where table_name = 'customer_profiles'
        on conflict (tenant_id) do nothing""")
