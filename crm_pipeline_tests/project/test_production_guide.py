"""Production as docs/operations.md tells it: from an empty PostgreSQL to the first refresh, its URLs in any spelling.

On the server of the wheel, and on Debian's where that is installed.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg2  # type: ignore[import-untyped]
import pytest
from sqlalchemy import create_engine

from crm_pipeline.cli.options import override_environment
from crm_pipeline.resources.dagster_storage.instance import open_instance
from crm_pipeline.resources.postgres.database_check import MIN_SERVER_VERSION
from crm_pipeline.resources.postgres.source_databases import load_service
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.settings import Settings, build_source_variable_name
from crm_pipeline.tables import list_source_tables
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.homes.console import TENANTS, crm_pipeline
from crm_pipeline_tests.fixtures.homes.questions import command as command_here
from crm_pipeline_tests.fixtures.homes.support import AS_OF, clean_environment
from crm_pipeline_tests.fixtures.input.delivered import a_connection
from crm_pipeline_tests.fixtures.servers.plain_servers import (
    DEBIAN,
    EMBEDDED,
    PASSWORD,
    PlainServer,
    find_programs,
    plain_server,
)
from crm_pipeline_tests.fixtures.servers.service_databases import write_holdable_rows

pytestmark = pytest.mark.whole_run

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
SPELLINGS = ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+psycopg"]
NAMES = ["WAREHOUSE_URL", "WAREHOUSE_ADMIN_URL", "DAGSTER_PG_URL", *map(build_source_variable_name, Service)]


@dataclass(frozen=True)
class Production:
    """A server that was set up as the page says, the settings of the page, and a home."""

    server: PlainServer
    settings: dict[str, str]
    home: Path

    def run(self, *command: str, **changes: str) -> str:
        """The output of a command with these settings, which must succeed."""
        result = command_here(self.home, *command, **self.settings | changes)
        assert result.exit_code == 0, result.output
        return result.stdout


def block_after(words: str) -> list[str]:
    """The lines of the indented block that follows these words in the page."""
    _, found, rest = PAGE.partition(words)
    assert found
    return [line.strip() for line in re.findall(r"\n\n((?: {8}.*\n)+)", rest)[0].splitlines()]


def statements_after(words: str) -> list[str]:
    """The statements of such a block, with the password of the tests."""
    return [line.replace("'PASSWORD'", f"'{PASSWORD}'") for line in block_after(words)]


def settings_of(server: PlainServer) -> dict[str, str]:
    """The settings of the page, for this server."""
    lines = [
        line.replace("PASSWORD", quote(PASSWORD, safe="")).replace("db.example:5432", f"127.0.0.1:{server.port}")
        for line in block_after("The settings that name them")
    ]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def make_services(server: PlainServer, folder: Path, settings: dict[str, str]) -> None:
    """Creates the databases of the services that the settings name, with the sample's rows."""
    for service in Service:
        database = settings[build_source_variable_name(service)].rpartition("/")[2]
        server.execute("postgres", [f"create database {database} template template0 encoding 'UTF8'"])
        engine = create_engine(server.url(database).set(drivername="postgresql+psycopg2"))
        load_service(engine, service, folder)
        engine.dispose()


@pytest.fixture(scope="module", params=[EMBEDDED, DEBIAN])
def production(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """Production on a server that was empty, before its first refresh."""
    folder = tmp_path_factory.mktemp("production")
    write_holdable_rows(folder / "services")
    with plain_server(find_programs(request.param)) as server:
        settings = settings_of(server)
        make_services(server, folder / "services", settings)
        role, grants = statements_after("As its owner or a superuser, in each of the four:")
        server.execute("postgres", [role])
        for service in Service:
            server.execute(settings[build_source_variable_name(service)].rpartition("/")[2], [grants])
        server.execute("postgres", statements_after("As a superuser of a PostgreSQL"))
        yield Production(server, settings, folder / "home")


@pytest.fixture(scope="module")
def refreshed(production: Production) -> Production:
    """Production after its first refresh, from a terminal."""
    finished = crm_pipeline("run", "--as-of", AS_OF, home=production.home, **production.settings)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "rows changed in the published tables" in finished.stdout
    return production


def test_the_first_refresh_publishes_every_club_and_the_second_changes_nothing(refreshed: Production) -> None:
    said = refreshed.run("status")
    assert [tenant for tenant in TENANTS if tenant not in said] == []
    assert "Nothing changed: 0 rows published" in refreshed.run("run", "--as-of", AS_OF)
    assert not (refreshed.home / "postgres").exists()


def test_an_administrator_grants_a_club_its_login(refreshed: Production) -> None:
    [url] = refreshed.run("database", "grant", "--tenant", TENANTS[0]).splitlines()
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) > 0 from customer_profiles")
        assert cursor.fetchone() == (True,)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_every_setting_reaches_its_database(refreshed: Production, spelling: str) -> None:
    spelled = {name: value.replace("postgresql", spelling, 1) for name, value in refreshed.settings.items()}
    assert sorted(spelled) == sorted(NAMES)
    with clean_environment(**spelled):
        settings = override_environment(refreshed.home)
        with open_instance(settings) as instance:
            assert instance.get_runs(limit=1)
        assert_sources_answer(settings)
    assert refreshed.run("database", "url", **spelled).startswith("postgresql://crm_pipeline:")
    assert TENANTS[0] in refreshed.run("status", **spelled)
    assert "bi_" in refreshed.run("database", "grant", "--tenant", TENANTS[0], **spelled)


def assert_sources_answer(settings: Settings) -> None:
    """Asserts that every service's tables can be read."""
    with closing(a_connection()) as con:
        for service in Service:
            delivery = Sources(settings.sources).read_snapshot(con, service)
            assert set(delivery.tables) == {table.name for table in list_source_tables(service)}


@pytest.mark.parametrize(
    "place", ["/crm?host={folder}&port={port}", "127.0.0.1:1,127.0.0.1:{port}/crm?sslmode=disable"]
)
def test_a_socket_and_a_list_of_hosts_reach_the_warehouse(refreshed: Production, place: str) -> None:
    address = place.format(folder=refreshed.server.folder, port=refreshed.server.port)
    url = f"postgresql://crm_pipeline:{quote(PASSWORD, safe='')}@{address}"
    assert TENANTS[0] in refreshed.run("status", WAREHOUSE_URL=url)
    with clean_environment(CRM_SOURCE=url.replace("/crm?", "/crm_service?").replace("crm_pipeline", "crm_reader")):
        sources = Sources(override_environment(refreshed.home).sources)
    with closing(a_connection()) as con:
        assert sources.read_snapshot(con, Service.CRM, only_table=crm.tenant).tables


def test_a_wrong_password_is_one_line_without_it(refreshed: Production) -> None:
    url = f"postgresql://crm_pipeline:open-sesame@127.0.0.1:{refreshed.server.port}/crm"
    result = command_here(refreshed.home, "run", **refreshed.settings | {"WAREHOUSE_URL": url})
    assert (result.exit_code, result.stdout) == (1, "")
    place = f"database crm on 127.0.0.1:{refreshed.server.port}"
    assert result.stderr == f"Error: WAREHOUSE_URL: {place} cannot be used: the role or its password is wrong\n"


def test_the_page_names_the_oldest_version_and_those_tried(refreshed: Production) -> None:
    with closing(psycopg2.connect(str(refreshed.settings["WAREHOUSE_URL"]))) as connection:
        version = connection.server_version // 10_000
    section = PAGE.partition("### Which PostgreSQL")[2].partition("\n### ")[0]
    assert f"need PostgreSQL {MIN_SERVER_VERSION} or newer" in section
    assert re.search(rf"\b{version} \({version}\.\d", section)
