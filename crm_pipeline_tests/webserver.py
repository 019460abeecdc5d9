"""`crm-pipeline ui` as a browser meets it: a server of its own, asked over GraphQL."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar

from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from crm_pipeline.settings import VARIABLES
from crm_pipeline_tests.support import AS_OF, SAMPLE

T = TypeVar("T")
BIN = Path(sys.executable).parent
REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "crm_pipeline.definitions"}
START_SECONDS = 60.0
RUN_SECONDS = 90.0
RUNS = """
    query ($filter: RunsFilter) { runsOrError(filter: $filter) { ... on Runs { results {
        runId jobName status tags { key value } stepStats { stepKey status }
        assetMaterializations { partition assetKey { path }
            metadataEntries { label ... on IntMetadataEntry { intValue } } } } } } }"""
START_RUN = """
    mutation ($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
        __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
START_BACKFILL = """
    mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
        __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""


def environment(**variables: str) -> dict[str, str]:
    """This process's environment with no setting of ours but these."""
    return {name: value for name, value in os.environ.items() if name not in {*VARIABLES, "DAGSTER_HOME"}} | variables


@dataclass(frozen=True)
class Run:
    """A run as the web page shows it."""

    job: str
    status: str
    tags: Mapping[str, str]
    steps: Sequence[str]
    materialised: Sequence[tuple[str, str | None, Mapping[str, int]]]
    """Asset, partition, and the numbers in its metadata."""


@dataclass(frozen=True)
class Webserver:
    """A running `crm-pipeline ui`."""

    port: int
    log: Path

    def ask(self, query: str, **variables: object) -> Any:  # noqa: ANN401  whatever JSON holds
        """The data of a GraphQL answer; an error in it is raised."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        body = json.dumps({"query": query, "variables": variables})
        connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def materialize(self, assets: Sequence[str], partition: str, job: str = "__ASSET_JOB") -> dict[str, list[str]]:
        """Click "Materialize" for one partition; return a filter for its run."""
        selector = {**REPOSITORY, "pipelineName": job, "assetSelection": _keys(assets), "assetCheckSelection": None}
        tags = [{"key": "dagster/partition", "value": partition}]
        params = {"selector": selector, "mode": "default", "runConfigData": {}, "executionMetadata": {"tags": tags}}
        answer = self.ask(START_RUN, params=params)["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return {"runIds": [answer["run"]["runId"]]}

    def backfill(self, assets: Sequence[str], partitions: Sequence[str]) -> dict[str, list[dict[str, str]]]:
        """Launch a backfill of these partitions; return a filter for its runs."""
        params = {"assetSelection": _keys(assets), "partitionNames": partitions}
        answer = self.ask(START_BACKFILL, params=params)["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return {"tags": [{"key": "dagster/backfill", "value": answer["backfillId"]}]}

    def runs(self, wanted: Mapping[str, object], count: int) -> list[Run]:
        """The runs a filter means, oldest first, once there are `count` of them and all have ended."""

        def ended() -> list[Run] | None:
            found = [_run_of(run) for run in self.ask(RUNS, filter=wanted)["runsOrError"]["results"]]
            over = [run for run in found if run.status in {"SUCCESS", "FAILURE", "CANCELED"}]
            return over[::-1] if len(over) == len(found) >= count else None

        return wait_for(ended, f"{count} runs of {wanted}", RUN_SECONDS)


@contextmanager
def webserver(home: Path) -> Iterator[Webserver]:
    """`crm-pipeline ui` on the sample clubs, as of the sample's hour; it and all it started end with the body."""
    port = _free_port()
    command = [str(BIN / "crm-pipeline"), "ui", "--home", str(home), "--sources", str(SAMPLE), "--port", str(port)]
    served = Webserver(port, home.parent / "ui.log")
    with served.log.open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment(CRM_PIPELINE_AS_OF=AS_OF), start_new_session=True
        )
    try:
        wait_for(lambda: _answers(process, served) or None, f"the web page; see {served.log}", START_SECONDS)
        yield served
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        finally:
            _end_group(process.pid)


def schedule_since(time: datetime) -> InstigatorState:
    """The state of a schedule that the daemon has looked after since then; it is found by the schedule's place."""
    location = REPOSITORY["repositoryLocationName"]
    target = LoadableTargetOrigin(executable_path=None, module_name=location)
    code = ManagedGrpcPythonEnvCodeLocationOrigin(loadable_target_origin=target, location_name=location)
    place = RemoteRepositoryOrigin(code_location_origin=code, repository_name=REPOSITORY["repositoryName"])
    return InstigatorState(
        RemoteInstigatorOrigin(repository_origin=place, instigator_name="hourly_refresh"),
        InstigatorType.SCHEDULE,
        InstigatorStatus.DECLARED_IN_CODE,
        ScheduleInstigatorData("0 * * * *", time.timestamp()),
    )


def wait_for(look: Callable[[], T | None], what: str, seconds: float) -> T:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.25)
    return found


def _answers(process: subprocess.Popen[bytes], served: Webserver) -> bool:
    assert process.poll() is None, served.log.read_text()
    try:
        return bool(served.ask("{ version }"))
    except OSError:
        return False


def _end_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def _run_of(run: dict[str, Any]) -> Run:
    return Run(
        job=run["jobName"],
        status=run["status"],
        tags={tag["key"]: tag["value"] for tag in run["tags"]},
        steps=[step["stepKey"] for step in run["stepStats"]],
        materialised=[
            (event["assetKey"]["path"][-1], event["partition"], numbers(event["metadataEntries"]))
            for event in run["assetMaterializations"]
        ],
    )


def numbers(entries: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The whole numbers among metadata entries."""
    return {entry["label"]: entry["intValue"] for entry in entries if "intValue" in entry}


def _keys(assets: Sequence[str]) -> list[dict[str, list[str]]]:
    return [{"path": [asset]} for asset in assets]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
