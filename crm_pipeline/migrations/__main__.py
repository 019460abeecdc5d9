"""Command that drafts the next revision, to be reviewed by hand: `python -m crm_pipeline.migrations MESSAGE HOME`."""

import sys
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from crm_pipeline.resources.postgres.embedded import start_embedded_postgres
from crm_pipeline.resources.warehouse.migrate import build_alembic_config
from crm_pipeline.resources.warehouse.warehouse import Warehouse


def draft_revision(message: str, home: Path) -> None:
    """Creates the revision file that leads from the warehouse of a home, made before the change, to what is declared.

    Raises: CommandError where the warehouse is of an older revision.
    """
    server = start_embedded_postgres(home)
    try:
        with Warehouse(server.url("crm")).engine().begin() as connection:
            configuration = build_alembic_config(connection)
            number = len(list(ScriptDirectory.from_config(configuration).walk_revisions())) + 1
            command.revision(configuration, message, autogenerate=True, rev_id=f"{number:04}")
    finally:
        server.stop()


if __name__ == "__main__":
    draft_revision(sys.argv[1], Path(sys.argv[2]))
