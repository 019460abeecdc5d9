"""The files in deploy/ agree with each other, with the declared settings and with the committed `dagster.yaml`.

What they make is run elsewhere: the processes of compose.yaml by `test_deploy_services.py`, the image by
`make image-rootfs`.
"""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from crm_pipeline.resources.dagster_storage.instance import DAGSTER_YAML
from crm_pipeline.resources.postgres.cluster import DATABASE_OWNERS, SERVER_SETTINGS
from crm_pipeline.settings import ENVIRONMENT_VARIABLES
from crm_pipeline_tests.fixtures.servers.webserver import BIN

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
COMPOSE_TEXT = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
HELM: dict[str, Any] = yaml.safe_load((DEPLOY / "helm-values.yaml").read_text(encoding="utf-8"))
WORKSPACE: dict[str, Any] = yaml.safe_load((DEPLOY / "workspace.yaml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PASSWORDS = {"POSTGRES_PASSWORD", "WAREHOUSE_PASSWORD", "DAGSTER_PASSWORD"}
SOURCES = {name for name in ENVIRONMENT_VARIABLES if name.endswith("_SOURCE")}
PIN = re.compile(r"^([a-z0-9-]+)(?:\[[^]]*\])?==(\S+)", re.MULTILINE)


def instructions(name: str) -> list[str]:
    """What follows an instruction of the Dockerfile, wherever it stands."""
    return re.findall(rf"^{name} +(.*)$", DOCKERFILE, re.MULTILINE)


def command() -> list[str]:
    """The image's own command, which is the code server's."""
    return list(json.loads(instructions("CMD")[0]))


def option(arguments: list[str], name: str) -> str:
    """The value of an option of a command."""
    return arguments[arguments.index(name) + 1]


def pins(file: Path) -> dict[str, str]:
    """The packages of a lock and their versions."""
    return dict(PIN.findall(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("file", "schema"), [("compose.yaml", "compose-spec"), ("github-workflow.yaml", "github-workflows")]
)
def test_a_file_is_of_its_schema(file: str, schema: str) -> None:
    checked = subprocess.run(
        [BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", DEPLOY / file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_hadolint_has_nothing_to_say_of_the_image() -> None:
    found = subprocess.run([BIN / "hadolint", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_the_image_has_what_the_lock_pins_and_no_tool() -> None:
    whole, image, build = (
        pins(ROOT / name) for name in ("requirements.lock", "deploy/requirements.lock", "deploy/build.lock")
    )
    assert image.items() | build.items() <= whole.items()
    direct = {re.split("[<>=]", need)[0] for need in PROJECT["project"]["dependencies"]}
    assert direct <= image.keys()
    assert not {"pytest", "mypy", "ruff", "uv", "hatchling", "hypothesis"} & image.keys()
    assert not {"pytest", "dagster"} & build.keys()


def test_every_path_of_the_image_is_there_and_every_script_runs() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    context = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    mounted = set(re.findall(r"type=bind,source=([^,]+)", DOCKERFILE))
    assert {str(PROJECT["project"]["readme"]), "LICENSE", "pyproject.toml", "deploy", "crm_pipeline"} == context
    assert all((ROOT / path).exists() for path in context | mounted)
    scripts = set(re.findall(r"(?:/source/deploy|/tmp)/([\w-]+\.sh)", DOCKERFILE))
    assert scripts == {"install-system.sh", "install-application.sh"}
    assert all(os.access(file, os.X_OK) for file in DEPLOY.glob("*.sh"))


def test_the_image_runs_as_a_user_that_its_script_creates_without_rights() -> None:
    user, group = instructions("USER")[0].split(":")
    script = (DEPLOY / "install-system.sh").read_text(encoding="utf-8")
    assert f"--uid {user}" in script
    assert f"--gid {group}" in script
    pod = HELM["dagster-user-deployments"]["deployments"][0]["podSecurityContext"]
    assert (str(pod["runAsUser"]), str(pod["fsGroup"]), pod["runAsNonRoot"]) == (user, group, True)


def test_every_process_has_the_settings_it_needs_and_no_others() -> None:
    """The webserver and the daemon hold no login that reads a customer, and nobody but the administrator may do all."""
    given = {name: set(service["environment"]) for name, service in SERVICES.items()}
    pipeline = SOURCES | {
        "DAGSTER_PG_URL",
        "WAREHOUSE_URL",
        "ERASURE_KEY",
        "CRM_PIPELINE_MEMORY",
        "CRM_PIPELINE_NOTIFY",
    }
    assert given == {
        "postgres": PASSWORDS,
        "code-server": pipeline,
        "webserver": {"DAGSTER_PG_URL"},
        "daemon": {"DAGSTER_PG_URL"},
        "administrator": pipeline | {"WAREHOUSE_ADMIN_URL"},
    }


def test_every_setting_is_a_declared_one() -> None:
    image = {line.partition("=")[0] for line in instructions("ENV")} - {"PATH", "DAGSTER_HOME"}
    example = set(re.findall(r"^(\w+)=", (DEPLOY / "env.example").read_text(encoding="utf-8"), re.MULTILINE))
    pod = {setting["name"] for setting in HELM["dagster-user-deployments"]["deployments"][0]["env"]}
    assert image | pod | (example - PASSWORDS) <= set(ENVIRONMENT_VARIABLES)
    assert set(re.findall(r"\$\{(\w+)", COMPOSE_TEXT)) == example
    documents = "".join((DEPLOY / name).read_text(encoding="utf-8") for name in ("README.md", "helm-values.yaml"))
    named = set(re.findall(r"\b[A-Z]+_(?:[A-Z]+_)*(?:SOURCE|URL|HOME|KEY|MEMORY|NOTIFY|AS_OF)\b", documents))
    assert named - {"DAGSTER_HOME"} <= set(ENVIRONMENT_VARIABLES)


def test_whoever_loads_the_code_finds_the_server_by_its_name_port_and_location() -> None:
    [server] = [entry["grpc_server"] for entry in WORKSPACE["load_from"]]
    location = tomllib.loads((ROOT / "crm_pipeline" / "dg.toml").read_text(encoding="utf-8"))["project"]
    assert server["host"] in SERVICES
    assert server["location_name"] == location["code_location_name"]
    assert option(command(), "--module-name") == location["code_location_target_module"]
    home = dict(line.split("=", 1) for line in instructions("ENV"))["DAGSTER_HOME"]
    for name in ("webserver", "daemon"):
        assert option(SERVICES[name]["command"], "--workspace") == f"{home}/workspace.yaml"
    health = json.loads(instructions("HEALTHCHECK")[0].partition("CMD")[2])
    ports = {option(command(), "--port"), option(health, "--port"), *instructions("EXPOSE")}
    assert ports == {str(server["port"])}


def test_the_webservers_page_is_for_this_machine_alone() -> None:
    port = option(SERVICES["webserver"]["command"], "--port")
    assert SERVICES["webserver"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f":{port}/" in SERVICES["webserver"]["healthcheck"]["test"][-1]


def test_volumes_are_where_the_image_keeps_lake_and_home() -> None:
    image = dict(line.split("=", 1) for line in instructions("ENV"))
    folders = {image["LAKE_URL"], image["CRM_PIPELINE_HOME"]}
    for name in ("code-server", "administrator"):
        assert {volume.split(":")[1] for volume in SERVICES[name]["volumes"]} == folders
    [pod] = HELM["dagster-user-deployments"]["deployments"]
    assert {mount["mountPath"] for mount in pod["volumeMounts"]} == folders
    created = (DEPLOY / "install-system.sh").read_text(encoding="utf-8")
    assert all(folder in created for folder in folders)


def test_the_server_has_the_databases_owners_and_settings_of_the_embedded_one() -> None:
    script = (DEPLOY / "create-databases.sql").read_text(encoding="utf-8")
    assert dict(re.findall(r"create database (\w+) owner (\w+)", script)) == DATABASE_OWNERS
    settings = dict(argument[2:].split("=") for argument in SERVICES["postgres"]["command"][1:])
    assert settings.items() <= SERVER_SETTINGS.items()


def test_the_chart_names_the_same_image_command_and_port() -> None:
    [pod] = HELM["dagster-user-deployments"]["deployments"]
    [server] = HELM["dagsterWebserver"]["workspace"]["servers"]
    [expected] = [entry["grpc_server"] for entry in WORKSPACE["load_from"]]
    assert server == {"host": pod["name"], "port": pod["port"], "name": expected["location_name"]}
    assert (pod["port"], pod["dagsterApiGrpcArgs"]) == (expected["port"], command()[3:5])
    assert pod["image"]["repository"] == SERVICES["code-server"]["image"]
    assert pod["image"]["tag"] == PROJECT["project"]["version"]
    assert HELM["global"]["dagsterHome"] in DOCKERFILE


def test_the_chart_repeats_the_committed_dagster_yaml() -> None:
    committed = yaml.safe_load(DAGSTER_YAML.read_text(encoding="utf-8"))
    daemon = {name: HELM["dagsterDaemon"][name] for name in ("runMonitoring", "runRetries")}
    said = snake_cased({**daemon, **{name: HELM[name] for name in ("concurrency", "telemetry")}})
    assert said == {name: committed[name] for name in said if name != "concurrency"} | {
        "concurrency": snake_cased(committed["concurrency"])
    }
    assert HELM["additionalInstanceConfig"] == {"nux": committed["nux"]}
    assert committed["compute_logs"]["class"] == HELM["computeLogManager"]["type"]
    for kind, ticks in committed["retention"].items():
        assert ticks["purge_after_days"].items() <= HELM["retention"][kind]["purgeAfterDays"].items()


def snake_cased(value: Any) -> Any:  # noqa: ANN401  whatever YAML holds
    """The same value with the chart's keys as `dagster.yaml` has them."""
    if isinstance(value, dict):
        return {re.sub("([A-Z])", r"_\1", key).lower(): snake_cased(item) for key, item in value.items()}
    return [snake_cased(item) for item in value] if isinstance(value, list) else value
