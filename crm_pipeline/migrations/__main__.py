"""Draft the next revision: `python -m crm_pipeline.migrations "what changes"`, then review it by hand.

`--first` writes the first schema anew instead, which is right only as long as no warehouse was ever released.
"""

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from crm_pipeline.resources.postgres.embedded import start_embedded_postgres
from crm_pipeline.resources.warehouse.migrate import build_alembic_config
from crm_pipeline.resources.warehouse.schema import build_schema_sql
from crm_pipeline.resources.warehouse.warehouse import Warehouse

VERSIONS_FOLDER = Path(__file__).parent / "versions"


def draft_revision(message: str) -> None:
    """Write the revision from what the last one leaves to what is declared."""
    with tempfile.TemporaryDirectory() as home:
        server = start_embedded_postgres(Path(home))
        try:
            with Warehouse(server.url("crm")).engine().begin() as connection:
                connection.exec_driver_sql("create schema crm")
                setup = build_alembic_config(connection)
                command.upgrade(setup, "head")
                number = len(list(ScriptDirectory.from_config(setup).walk_revisions())) + 1
                command.revision(setup, message, autogenerate=True, rev_id=f"{number:04}")
        finally:
            server.stop()


if __name__ == "__main__":
    if sys.argv[1] == "--first":
        (VERSIONS_FOLDER / "first_schema.sql").write_text(build_schema_sql(), encoding="utf-8")
    else:
        draft_revision(sys.argv[1])
