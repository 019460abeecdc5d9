"""A stuck club, one never published, one without a service and a late one read the same wherever somebody looks."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import pytest
from sqlalchemy import NullPool, create_engine, text

from crm_pipeline.checks.data_docs import build_page_name
from crm_pipeline.defs.jobs.alerts import list_failed_checks
from crm_pipeline.defs.publish.freshness_check import TENANT_FRESHNESS_CHECK
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.questions import command
from crm_pipeline_tests.fixtures.homes.runs import FYNBOS, HEATHER, SAGUARO, dagster_of, mend, runs
from crm_pipeline_tests.fixtures.homes.support import SAMPLE, ask, refresh

PINES = "pine-valley"
NEW_ROW = f"{PINES},Pine Valley,GB,Pounds,Europe/London,ACTIVE,,2026-03-31T12:00:00Z\n"
LATE_FOR = "3 hours"
WORDS = {
    FYNBOS: ("FRESH", ["Published by the last refresh."]),
    HEATHER: ("STUCK", ["The tables keep 2026-03-31 12:00 UTC: its Tenant row is wrong: timezone:INVALID_SETTING"]),
    PINES: ("NEVER_PUBLISHED", ["Nothing has been published: its Tenant row is wrong: currency:INVALID_SETTING"]),
    SAGUARO: ("LATE", ["No refresh since {refreshed_at} UTC."]),
}
TEETIME_AWAY = "TEETIME FAILED: Not read since 2026-03-31 12:00 UTC: its last snapshot serves."
SERVICES = {FYNBOS: [TEETIME_AWAY], HEATHER: [TEETIME_AWAY], PINES: ["TEETIME NEVER_READ: Never read."], SAGUARO: []}


class Said(NamedTuple):
    """What is said of a club: its state, and its sentences one after the other."""

    state: str
    sentences: str


@pytest.fixture(scope="module")
def home(first_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The sample, refreshed at 12:00, and at 13:00 but for Saguaro Ridge, whose refresh is three hours ago."""
    folder = tmp_path_factory.mktemp("fresh")
    services = Path(shutil.copytree(SAMPLE, folder / "services"))
    mend(services / "crm" / "Tenant.csv", "Europe/London", "Europe/Lundun")
    with (services / "crm" / "Tenant.csv").open("a", encoding="utf-8") as file:
        file.write(NEW_ROW)
    shutil.rmtree(services / "teetime")
    with copied(first_run, folder / "home") as home:
        age_refreshes(home)
        failures = refresh(home, services, as_of="2026-03-31T13:00:00Z", tenants=[FYNBOS, HEATHER, PINES]).failures
        assert [failure.partition(": ")[0] for failure in failures] == ["TEETIME", "published", "published"]
        yield home


@pytest.fixture(scope="module")
def expected(home: Path) -> Mapping[str, Said]:
    (hour,) = ask(
        home, f"select refreshed_at at time zone 'UTC' from crm.tenant_refreshes where tenant_id = '{SAGUARO}'"
    )
    reasons = {
        club: [words.format(refreshed_at=f"{hour[0]:%Y-%m-%d %H:%M}") for words in said]
        for club, (_, said) in WORDS.items()
    }
    return {club: Said(state, " ".join([*reasons[club], *SERVICES[club]])) for club, (state, _) in WORDS.items()}


def age_refreshes(home: Path) -> None:
    """Sets the time of every refresh back, as if there had been none since."""
    with create_engine(EmbeddedPostgres(home).url("crm"), poolclass=NullPool).begin() as connection:
        connection.execute(text(f"update crm.tenant_refreshes set refreshed_at = now() - interval '{LATE_FOR}'"))


def test_the_view(home: Path, expected: Mapping[str, Said]) -> None:
    query = """
        select tenant_id, t.state, concat_ws(' ', t.reason,
            string_agg(concat(service, ' ', s.state, ': ', s.reason), ' ')
                filter (where s.state in ('FAILED', 'NEVER_READ')))
        from crm.tenant_freshness t join crm.service_freshness s using (tenant_id) group by 1, 2, t.reason"""
    assert {tenant: Said(*rest) for tenant, *rest in ask(home, query)} == expected


def test_status_as_json(home: Path, expected: Mapping[str, Said]) -> None:
    done = command(home, "status", "--json")
    assert done.exit_code == 0, done.output
    assert {
        club["tenant_id"]: Said(
            club["state"],
            " ".join(
                [club["reason"]]
                + [
                    f"{each['service']} {each['state']}: {each['reason']}"
                    for each in club["services"]
                    if each["state"] in {"FAILED", "NEVER_READ"}
                ]
            ),
        )
        for club in json.loads(done.stdout)["tenants"]
    } == expected


def test_status_on_a_terminal(home: Path, expected: Mapping[str, Said]) -> None:
    """Of 80 columns, where every fact has a line."""
    done = command(home, "status", COLUMNS="80")
    assert done.exit_code == 0, done.output
    blocks = re.split("\n(?=[a-z-]+ *\n)", done.stdout)[1:]
    found = {}
    for block in blocks:
        facts = dict(re.findall(r"^  (\w+(?: \w+)*)  +(\S.*(?:\n {8,}\S.*)*)", block, re.MULTILINE))
        found[block.split()[0]] = Said(facts["state"].strip(), " ".join(facts["why"].split()))
    assert found == expected


class Text(HTMLParser):
    """The text of a page, its cells apart by bars."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found = ""
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        self.found += "|" if tag in {"td", "span", "tr", "p"} else " "

    def handle_endtag(self, tag: str) -> None:
        self.found += "|" if tag in {"span", "p"} else " "

    def handle_data(self, data: str) -> None:
        self.found += data

    @property
    def cells(self) -> list[str]:
        return [" ".join(cell.split()) for cell in self.found.split("|") if cell.strip()]


def test_data_docs(home: Path, expected: Mapping[str, Said]) -> None:
    """On the index and on the club's own page."""
    index = Text(home / "data_docs" / "index.html").cells
    for club, said in expected.items():
        place = index.index(club)
        assert Said(*index[place + 1 : place + 3]) == said
        page = Text(home / "data_docs" / build_page_name(club)).cells
        place = page.index(said.state)
        assert Said(*page[place : place + 2]) == said


def test_the_asset_check(home: Path, expected: Mapping[str, Said]) -> None:
    """As last reported of each club. Nothing holds."""
    found: dict[str | None, dg.AssetCheckEvaluation] = {}
    with dagster_of(home) as instance:
        for run in runs(home):
            for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
                evaluation = entry.get_dagster_event().asset_check_evaluation_data
                if evaluation.check_name == TENANT_FRESHNESS_CHECK and evaluation.partition:
                    found[evaluation.partition] = evaluation
    assert {club: each.passed for club, each in found.items()} == dict.fromkeys(expected, False)
    assert {
        club: Said(str(each.metadata["state"].value), str(each.description)) for club, each in found.items()
    } == expected
    assert {each.metadata["reason"].value for each in found.values()} == {
        said.sentences.partition(" TEETIME ")[0] for said in expected.values()
    }


def test_nothing_more_can_be_had_of_the_club_that_was_never_published(home: Path) -> None:
    reason = WORDS[PINES][1][0]
    done = command(home, "database", "grant", "--tenant", PINES)
    assert (done.exit_code, f"nothing is published of {PINES}: {reason}" in done.output) == (1, True)
    done = command(home, "explain", "--tenant", PINES, "--record", "SCL:1")
    assert (done.exit_code, f"{PINES}: {reason}" in done.output) == (1, True)


def test_a_run_that_succeeds_alerts_of_the_clubs_it_was_not_of(home: Path, expected: Mapping[str, Said]) -> None:
    """Last, since it mends two of them: nobody else would say that a club is late."""
    assert refresh(home, as_of="2026-03-31T14:00:00Z", tenants=[FYNBOS, HEATHER]).failures == []
    with dagster_of(home) as instance:
        (alert,) = list_failed_checks(instance, runs(home)[-1].run_id)
    stale = (f"{club} {expected[club].state}: {expected[club].sentences}" for club in (PINES, SAGUARO))
    assert alert == f"customer_profiles: {'; '.join(stale)}"


def test_a_club_that_left_the_crm_is_named_and_its_services_are_as_last_read(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    services = home.parent / "services"
    tenants = services / "crm" / "Tenant.csv"
    rows = tenants.read_text(encoding="utf-8").splitlines(keepends=True)
    tenants.write_text("".join(row for row in rows if not row.startswith(SAGUARO)), encoding="utf-8")
    refresh(home, services, as_of="2026-03-31T15:00:00Z")
    assert f"{SAGUARO}: the CRM has no Tenant row of it any more; what was published stays" in capfd.readouterr().err
    [club] = [each for each in read_status_document(home) if each["tenant_id"] == SAGUARO]
    reason = "The tables keep 2026-03-31 12:00 UTC: the CRM has no Tenant row of it any more"
    assert (club["state"], club["reason"]) == ("STUCK", reason)
    states = {each["service"]: each["state"] for each in club["services"]}
    assert states == {"SCL": "FRESH", "TEETIME": "FAILED", "MESSAGING": "FRESH", "CRM": "FRESH"}
    failures = refresh(home, services, as_of="2026-03-31T15:00:00Z", tenants=[SAGUARO]).failures
    assert f"tenants: the CRM has no Tenant row any more of {SAGUARO}" in failures


def read_status_document(home: Path) -> list[dict[str, Any]]:
    clubs: list[dict[str, Any]] = json.loads(command(home, "status", "--json").stdout)["tenants"]
    return clubs
