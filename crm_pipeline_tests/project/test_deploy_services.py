"""The processes of deploy/compose.yaml, run without containers: the commands, settings and health checks that it names.

PostgreSQL is a new server with nothing in it but what create-databases.sql makes; paths and ports of the containers are
replaced by those of this machine.
"""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.exc import OperationalError

from crm_pipeline.resources.dagster_storage.instance import DAGSTER_YAML
from crm_pipeline.resources.postgres.programs import find_program, run_program
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.homes.support import SAMPLE
from crm_pipeline_tests.fixtures.servers.embedded_servers import ask
from crm_pipeline_tests.fixtures.servers.patience import PATIENCE_SECONDS, wait_until
from crm_pipeline_tests.fixtures.servers.webserver import BIN, Webserver, environment, find_free_port
from crm_pipeline_tests.project.test_deploy import COMPOSE_TEXT, DEPLOY, PASSWORDS, command, instructions
from crm_pipeline_tests.test_definitions import MADE, WEEKLY

pytestmark = pytest.mark.whole_run

CLUB = "heather-moor"
PARTITIONS = (
    """query ($in: AssetKeyInput!) { assetNodeOrError(assetKey: $in) { ... on AssetNode { partitionKeys } } }"""
)


@dataclass(frozen=True)
class Machine:
    """Where the containers' folders and ports are on this machine, and what .env would say."""

    folder: Path
    postgres: int
    code: int
    web: int
    variables: Mapping[str, str]

    def place(self, text: str) -> str:
        """Returns a text of deploy/ with the folders, hosts and ports of this machine."""
        text = re.sub(r"\$\{(\w+)[^}]*\}", lambda match: self.variables.get(match[1], ""), text)
        for there, here in {
            "/opt/crm-pipeline/dagster": str(self.folder / "dagster"),
            "/srv/crm": str(self.folder),
            "@postgres:5432": f"@127.0.0.1:{self.postgres}",
            "host: code-server": "host: 127.0.0.1",
            "4000": str(self.code),
            "3000": str(self.web),
        }.items():
            text = text.replace(there, here)
        return text


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with PostgreSQL, and DAGSTER_HOME as the image has it."""
    folder = tmp_path_factory.mktemp("machine")
    sources = {f"{service}_SOURCE": str(SAMPLE / service.lower()) for service in Service}
    variables = {name: secrets.token_hex(24) for name in PASSWORDS} | sources
    made = Machine(folder, find_free_port(), find_free_port(), find_free_port(), variables)
    (folder / "dagster").mkdir()
    shutil.copy(DAGSTER_YAML, folder / "dagster")
    workspace = (DEPLOY / "workspace.yaml").read_text(encoding="utf-8")
    (folder / "dagster" / "workspace.yaml").write_text(made.place(workspace))
    with postgres_server(made):
        yield made


@pytest.fixture(scope="module")
def page(machine: Machine) -> Iterator[Webserver]:
    """The webserver, once code server, webserver and daemon say that they are well."""
    services = yaml.safe_load(machine.place(COMPOSE_TEXT))["services"]
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(process(machine, name, services[name]))
            for name in ("code-server", "webserver", "daemon")
        }
        yield Webserver(machine.web, machine.folder / "webserver.log", running["webserver"])


def test_the_daemon_finds_the_clubs_and_a_run_of_the_code_server_publishes_one(
    page: Webserver, machine: Machine
) -> None:
    wait_until(lambda: find_clubs(page), lambda clubs: CLUB in clubs, "the sensor to find the clubs")
    [run] = page.runs(page.materialize(sorted(MADE - WEEKLY), CLUB, job="refresh"), 1)
    assert run.status == "SUCCESS"
    assert ask(database_url(machine, "crm_pipeline", "crm"), "select count(*) from crm.customer_profiles") > 0


def test_an_owner_of_one_database_cannot_connect_to_the_other(machine: Machine) -> None:
    for role, database in (("dagster", "crm"), ("crm_pipeline", "dagster")):
        with pytest.raises(OperationalError, match="permission denied for database"):
            ask(database_url(machine, role, database), "select 1")


def test_no_log_has_a_password(page: Webserver, machine: Machine) -> None:
    logs = [log.read_text(encoding="utf-8") for log in page.log.parent.glob("*.log")]
    assert len(logs) == 3
    assert not [name for name in PASSWORDS if any(machine.variables[name] in log for log in logs)]


def database_url(machine: Machine, role: str, database: str) -> str:
    """The URL of a database for the owner of one of them."""
    password = machine.variables["DAGSTER_PASSWORD" if role == "dagster" else "WAREHOUSE_PASSWORD"]
    return f"postgresql+psycopg2://{role}:{password}@127.0.0.1:{machine.postgres}/{database}"


def find_clubs(page: Webserver) -> list[str]:
    """The tenants that Dagster knows."""
    node = page.ask(PARTITIONS, **{"in": {"path": ["customer_profiles"]}})["assetNodeOrError"]
    return list(node["partitionKeys"])


@contextmanager
def postgres_server(machine: Machine) -> Iterator[None]:
    """Runs the server that compose.yaml describes, with its databases created."""
    service = yaml.safe_load(machine.place(COMPOSE_TEXT))["services"]["postgres"]
    folder = machine.folder / "postgres"
    folder.mkdir()
    data, password = folder / "data", folder / "password"
    password.write_text(service["environment"]["POSTGRES_PASSWORD"])
    options = f"-p {machine.postgres} -c listen_addresses=127.0.0.1 -c unix_socket_directories= "
    with (folder / "log").open("a") as log:
        run_program(log, data, "initdb", "--username=postgres", "--auth=scram-sha-256", f"--pwfile={password}")
        run_program(log, data, "pg_ctl", "start", "--wait", "--options=" + options + " ".join(service["command"][1:]))
        try:
            create_databases(machine, service["environment"])
            yield
        finally:
            run_program(log, data, "pg_ctl", "stop", "--wait", "--mode=fast")


def create_databases(machine: Machine, variables: Mapping[str, str]) -> None:
    """Runs create-databases.sql as the postgres image does."""
    login = {"PGHOST": "127.0.0.1", "PGPORT": str(machine.postgres), "PGUSER": "postgres"}
    subprocess.run(
        [find_program("psql"), "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--file={DEPLOY / 'create-databases.sql'}"],
        env=environment(**variables, **login, PGPASSWORD=variables["POSTGRES_PASSWORD"]),
        check=True,
        capture_output=True,
    )


@contextmanager
def process(machine: Machine, name: str, service: Mapping[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a service's command with its settings alone, from when its health check passes."""
    image = dict(line.split("=", 1) for line in map(machine.place, instructions("ENV")))
    given = {name: value or "" for name, value in service["environment"].items()}
    variables = environment(**{**image, **given, "PATH": f"{BIN}:{os.environ['PATH']}"})
    arguments = service.get("command") or [machine.place(word) for word in command()]
    check = service["healthcheck"]["test"][1:] if "healthcheck" in service else default_check(machine)
    with (machine.folder / f"{name}.log").open("wb") as log:
        running = subprocess.Popen(
            arguments, env=variables, cwd=machine.folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        path = Path(log.name)
        wait_until(
            lambda: (is_healthy(running, check, variables), path.stat().st_size), lambda state: state[0], f"see {path}"
        )
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(PATIENCE_SECONDS)


def default_check(machine: Machine) -> list[str]:
    """The health check of the image."""
    return list(json.loads(machine.place(instructions("HEALTHCHECK")[0].partition("CMD")[2])))


def is_healthy(running: subprocess.Popen[bytes], check: list[str], variables: Mapping[str, str]) -> bool:
    """Whether the health check passes; a process that ended never will be."""
    assert running.poll() is None
    time.sleep(1)
    return not subprocess.run(check, env=variables, check=False, capture_output=True).returncode
