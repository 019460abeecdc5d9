"""PostgreSQL's programs run as root and as any other user, and their errors are shown."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.postgres.programs import EmbeddedPostgresError, find_program
from crm_pipeline_tests.fixtures.servers.embedded_servers import ask, passwords, postmaster, starter

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def test_an_error_is_one_line_with_the_reason_and_without_a_querys_values(server: EmbeddedPostgres) -> None:
    ask(server.url("crm"), "do $$ begin raise warning 'jean@example.org'; end $$")
    server.stop()
    settings = server.home / "postgres/data/postgresql.conf"
    good = settings.read_text()
    settings.write_text(good + "max_connections = many\n")
    with pytest.raises(EmbeddedPostgresError, match=r'configuration file "\S+" contains errors; see ') as failure:
        server.start()
    settings.write_text(good)
    assert "jean" in (server.home / "postgres/server.log").read_text()
    assert re.fullmatch(r"[^\n]+; see .*server\.log", str(failure.value))
    assert "jean" not in str(failure.value)
    assert not [password for password in passwords(server) if password in str(failure.value)]


@as_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv")
def test_root_without_namespaces(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "setpriv").symlink_to(str(shutil.which("setpriv")))
    server = EmbeddedPostgres(tmp_path / "home")
    assert starter(server.home, env={"PATH": str(tools)}).communicate()[0] == "started\n"
    assert Path(f"/proc/{postmaster(server)}").stat().st_uid != 0
    assert ask(server.url("crm"), "create table written (by text)") is None
    server.stop()
    server.start()
    server.stop()


@as_root
def test_without_root() -> None:
    reach = [
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        "test",
        "-x",
        str(find_program("initdb")),
    ]
    if subprocess.run(reach, check=False).returncode:
        pytest.skip("the programs are in a folder closed to everybody but root")
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, NOBODY, NOBODY)
        server = EmbeddedPostgres(Path(folder) / "home")
        assert starter(server.home, uid=NOBODY).communicate()[0] == "started\n"
        assert (server.home / "postgres/data").stat().st_uid == NOBODY
        assert ask(server.url("crm"), "select 1") == 1
        server.stop()


@as_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv")
def test_root_under_a_folder_that_another_user_has_closed() -> None:
    with tempfile.TemporaryDirectory() as folder:
        closed = Path(folder) / "of somebody"
        (closed / "home").mkdir(parents=True)
        closed.chmod(0o700)
        os.chown(closed, NOBODY - 1, NOBODY - 1)
        server = EmbeddedPostgres(closed / "home")
        server.start()
        assert ask(server.url("crm"), "select 1") == 1
        server.stop()
        server.start()
        server.stop()
