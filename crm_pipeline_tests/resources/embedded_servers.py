"""What tests of the embedded server share: starting it from another process, and looking at it from outside."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, make_url, text

from crm_pipeline.resources.postgres.cluster import DATABASE_OWNERS
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres

START = """
import os, sys, time
from pathlib import Path
from crm_pipeline.resources.embedded_postgres import EmbeddedPostgres
home, uid, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
if uid:
    os.setgroups([]), os.setgid(uid), os.setuid(uid)
EmbeddedPostgres(home).start()
print("started", flush=True)
time.sleep(seconds)
"""


def starter(home: Path, uid: int = 0, seconds: float = 0, **options: Any) -> subprocess.Popen[str]:  # noqa: ANN401
    command = [sys.executable, "-c", START, str(home), str(uid), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, **options)


def ask(url: str, statement: str) -> Any:  # noqa: ANN401
    with create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        result = connection.execute(text(statement))
        return result.scalar() if result.returns_rows else None


def postmaster(server: EmbeddedPostgres) -> int:
    return int((server.home / "postgres/data/postmaster.pid").read_text().splitlines()[0])


def passwords(server: EmbeddedPostgres) -> list[str]:
    return [str(make_url(server.url(database)).password) for database in ("postgres", *DATABASE_OWNERS)]
