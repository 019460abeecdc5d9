"""`crm-pipeline run` as its users meet it: refused, interrupted, killed, without a service, dry."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline_tests.fixtures.homes.console import TENANTS, assert_one_clear_line, crm_pipeline, here
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.runs import publishing_stops_at, wait_for_publisher
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import AS_OF, SAMPLE, ask, stopped_afterwards
from crm_pipeline_tests.fixtures.servers.patience import wait_for_end, wait_for_words
from crm_pipeline_tests.fixtures.servers.webserver import BIN, IN_BACKGROUND, environment

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(scope="module")
def clubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clubs of thirty people, written by the command line."""
    out = tmp_path_factory.mktemp("clubs") / "services"
    done = crm_pipeline("sample", "--tenants", "2", "--people", "30", "--events", "300", "--out", str(out))
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def shared_home(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home that the tests of this module go on with, one after the other."""
    with copied(blank, tmp_path_factory.mktemp("cli") / "home") as home:
        yield home


def run(home: Path, sources: Path = SAMPLE, *options: str) -> subprocess.CompletedProcess[str]:
    """`crm-pipeline run` as of the sample's hour."""
    return crm_pipeline("run", "--sources", str(sources), "--as-of", AS_OF, *options, home=home)


@contextmanager
def running(home: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`crm-pipeline run` under way, in a group of its own so that signals reach it alone, writing to `log`.

    It is started like a command in a script's background, for which a shell has SIGINT ignored.
    """
    command = [str(BIN / "crm-pipeline"), "run", "--home", str(home), "--sources", str(SAMPLE), "--as-of", AS_OF]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*IN_BACKGROUND, *command], env=environment(), stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_tenant_nobody_knows_is_named_beside_the_known_ones(shared_home: Path) -> None:
    asked = ("--tenant", "heather-moor", "--tenant", "atlantis")
    done = here("run", "--sources", str(SAMPLE), "--as-of", AS_OF, "--home", str(shared_home), *asked)
    assert_one_clear_line(done.exit_code, done.stderr, f"no such tenant: atlantis; known are {', '.join(TENANTS)}")


def test_before_the_first_run_status_says_so(shared_home: Path) -> None:
    done = here("status", "--home", str(shared_home))
    assert (done.exit_code, done.stdout) == (0, "Nothing has been published yet: crm-pipeline run\n")


@pytest.mark.parametrize("sent", SIGNALS if SOAK else [signal.SIGINT])
def test_a_signal_ends_a_run_and_leaves_nothing_half_published(
    sent: signal.Signals, shared_home: Path, tmp_path: Path
) -> None:
    """It reaches the run while that waits for PostgreSQL."""
    log = tmp_path / "run.log"
    with publishing_stops_at(shared_home, *TENANTS), running(shared_home, log) as process:
        wait_for_publisher(shared_home)
        process.send_signal(sent)
        assert wait_for_end(process, log) == 1
    assert "Aborted!" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert ask(shared_home, "select count(*) from crm.customer_profiles") == [(0,)]


@pytest.mark.skipif(not SOAK, reason="some more half runs: make soak")
@pytest.mark.parametrize("sent", SIGNALS)
@pytest.mark.parametrize("step", ["crm_snapshot", "customer_identities"])
def test_a_signal_ends_a_run_at_once_wherever_it_is(
    sent: signal.Signals, step: str, shared_home: Path, tmp_path: Path
) -> None:
    log = tmp_path / "run.log"
    with running(shared_home, log) as process:
        wait_for_words(log, f"… {step}")
        process.send_signal(sent)
        assert wait_for_end(process, log) == 1
    assert "Aborted!" in log.read_text()
    assert "… published" not in log.read_text()


def test_sigterm_ends_a_run_that_waits_for_another(shared_home: Path, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    colleague = {"application_name": "crm-pipeline run of a colleague"}
    engine = create_engine(EmbeddedPostgres(shared_home).url("crm"), connect_args=colleague, poolclass=NullPool)
    with engine.connect() as other:
        other.execute(text("select pg_advisory_lock(hashtextextended('run everything', 0))"))
        with running(shared_home, log) as process:
            wait_for_words(log, "waiting: crm-pipeline run of a colleague")
            process.send_signal(signal.SIGTERM)
            assert wait_for_end(process, log) == 1
    assert "Traceback" not in log.read_text()


@pytest.mark.skipif(not SOAK, reason="twenty seconds of whole runs: make soak")
def test_a_killed_run_does_not_stop_the_next_one(shared_home: Path, tmp_path: Path) -> None:
    """It held its place in the pool of a source; the next run shows progress, a table, and how to look further."""
    log = tmp_path / "run.log"
    with running(shared_home, log) as process:
        wait_for_words(log, "… crm_snapshot")
        process.kill()
    done = run(shared_home)
    assert done.returncode == 0, done.stderr
    for step in ("crm_snapshot", "customer_identities", "timeline_events", "profile_scores", "published"):
        assert f"  ✓ {step} (" in done.stderr
    assert_a_table_with_nothing_cut(done.stdout)
    assert "rows changed in the published tables" in done.stdout
    assert f"crm-pipeline status --home {shared_home}\n" in done.stdout
    assert f"crm-pipeline ui --home {shared_home} " in done.stdout


def assert_a_table_with_nothing_cut(said: str) -> None:
    """A line per tenant with all of its numbers, and no ellipsis anywhere."""
    assert "…" not in said
    for tenant in TENANTS:
        (line,) = (line for line in said.splitlines() if line.strip().startswith(tenant))
        numbers = [word.replace(",", "") for word in line.split() if word.replace(",", "").isdigit()]
        assert len(numbers) == len(["records", "profiles", "a link", "a stage", "reviews", "events", "bad rows"])


def test_a_failed_service_is_named_while_the_others_go_on(refreshed: Path, tmp_path: Path) -> None:
    """Its last snapshot serves, so that nothing changes either."""
    for service in ("crm", "messaging", "teetime"):
        (tmp_path / service).symlink_to(SAMPLE / service)
    done = run(refreshed, tmp_path)
    assert done.returncode == 1
    assert f"Warning: SCL cannot be read: there is no folder {tmp_path / 'scl'}\n" in done.stderr
    assert "failed SCL" in done.stdout
    assert "✓ published" in done.stderr
    assert "Nothing changed: 0 rows published" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not SOAK, reason="a whole run of clubs made up: make soak")
def test_synthetic_clubs_can_be_refreshed_and_the_server_stopped(clubs: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with stopped_afterwards(home):
        done = run(home, clubs)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (clubs / "truth.csv").is_file()
        assert EmbeddedPostgres(home).is_running()
        assert crm_pipeline("database", "stop", home=home).returncode == 0
        assert not EmbeddedPostgres(home).is_running()


@pytest.mark.skipif(not SOAK, reason="one more process; test_published_tenants has a dry run: make soak")
def test_a_dry_run_needs_no_home_before_it_and_keeps_nothing(clubs: Path, tmp_path: Path) -> None:
    with stopped_afterwards(tmp_path / "home") as home:
        done = run(home, clubs, "--dry-run")
        assert done.returncode == 0, done.stderr
        assert "links by rule" in done.stdout
        assert "rows changed" not in done.stdout
        assert not (home / "lake").exists()
        assert ask(home, "select count(*) from crm.publications") == [(0,)]
