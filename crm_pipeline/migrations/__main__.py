"""Command that drafts the next revision, to be reviewed by hand: `python -m crm_pipeline.migrations "what changes"`.

`--first` rewrites the first schema instead, which is valid only until a warehouse is released.
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
    """Creates the revision file that leads from the last revision to the declared tables."""
    with tempfile.TemporaryDirectory() as home:
        server = start_embedded_postgres(Path(home))
        try:
            with Warehouse(server.url("crm")).engine().begin() as connection:
                connection.exec_driver_sql("create schema crm")
                configuration = build_alembic_config(connection)
                command.upgrade(configuration, "head")
                number = len(list(ScriptDirectory.from_config(configuration).walk_revisions())) + 1
                command.revision(configuration, message, autogenerate=True, rev_id=f"{number:04}")
        finally:
            server.stop()


if __name__ == "__main__":
    if sys.argv[1] == "--first":
        (VERSIONS_FOLDER / "first_schema.sql").write_text(build_schema_sql(), encoding="utf-8")
    else:
        draft_revision(sys.argv[1])
