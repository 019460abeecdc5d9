"""Data Docs: what the pages say, and that they load nothing from the web."""

import re
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from duckdb import DuckDBPyConnection

from crm_pipeline.checks.data_docs import build_page_name, write_pages
from crm_pipeline.checks.expectations import ANOMALY_SUITE, SUITES
from crm_pipeline.checks.result_rows import build_trend_points
from crm_pipeline.resources.warehouse.freshness import ServiceFreshness, TenantFreshness
from crm_pipeline.vocabulary import Service, SnapshotState, TenantState
from crm_pipeline_tests.fixtures.servers.warehouses import AS_OF, a_connection

HILLS, DUNES, NEW = "hills", "<dunes>", "new/../club"
PAGES = {club: build_page_name(club) for club in (HILLS, DUNES, NEW)}
STUCK = "The tables keep 2026-03-31 11:00 UTC: tables_agree: money_equals_scl"


class Links(HTMLParser):
    """The text of a page, and every address in it that a browser would load or open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set(re.findall(r"url\(|@import|https?://[^\s\"'<]+", page))
        self.words = ""
        self.feed(page)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {value or "" for name, value in attrs if name in {"href", "src", "srcset", "action", "data"}}

    def handle_data(self, data: str) -> None:
        self.words += f" {data.strip()}"

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", self.words)


def a_club(tenant: str, state: TenantState, reason: str, people: int | None) -> TenantFreshness:
    services = tuple(
        ServiceFreshness(service, SnapshotState.FRESH, "Read by the last refresh.", AS_OF, 1) for service in Service
    )
    return TenantFreshness(tenant, state, reason, AS_OF, AS_OF, AS_OF, "ACTIVE", people, people, services)


CLUBS = [
    a_club(DUNES, TenantState.STUCK, STUCK, 1100),
    a_club(HILLS, TenantState.FRESH, "Published by the last refresh.", 90),
    a_club(NEW, TenantState.NEVER_PUBLISHED, "Nothing has been published: its Tenant row is wrong", None),
]


def create_results(con: DuckDBPyConnection, days: int = 28) -> None:
    """Creates the results of two clubs: one valid, one that breaks an agreement and has fewer profiles than usual."""
    broken = {"money_equals_scl": "timeline 3 payments; SCL 4", "profiles": "10; usually 90 to 110 over 28 days"}
    rows = [
        {
            "tenant_id": tenant,
            "suite": suite.name,
            "expectation": expected.name,
            "success": tenant == HILLS or expected.name not in broken,
            "is_critical": suite.is_critical,
            "unexpected_count": int(tenant == DUNES and expected.name in broken),
            "rows": (days if tenant == HILLS else 28) if suite is ANOMALY_SUITE else 100,
            "observed": broken.get(expected.name) if tenant == DUNES else None,
            "checked_at": AS_OF,
        }
        for suite in SUITES
        for expected in suite.expectations
        for tenant in (HILLS, DUNES)
    ]
    con.register("shown_results", pd.DataFrame(rows))
    measured = [
        {"tenant_id": HILLS, "measured_on": date(2026, 3, 1) + timedelta(days=day), "measure": name, "value": value}
        for name in ("profiles", "records", "events", "share_of_lead")
        for day, value in enumerate((70.0, 80.0, 90.0))
    ]
    con.register("shown_measures", pd.DataFrame(measured))


def write_twice(folder: Path, days: int = 28) -> dict[str, Links]:
    con = a_connection()
    create_results(con, days)
    for _ in range(2):
        write_pages(con, AS_OF, folder, CLUBS, {DUNES})
    return {file.name: Links(file.read_text(encoding="utf-8")) for file in folder.iterdir()}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Links]:
    return write_twice(tmp_path_factory.mktemp("home") / "data_docs")


@pytest.fixture(scope="module")
def early_pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Links]:
    """The same, where Hills is known for six days."""
    return write_twice(tmp_path_factory.mktemp("early") / "data_docs", days=6)


def test_there_is_an_index_and_a_page_per_suite_and_club_and_nothing_half_written(pages: dict[str, Links]) -> None:
    assert set(pages) == {
        "index.html", "customer_profiles.html", "customer_timeline.html", "tables_agree.html", "as_usual.html",
        *PAGES.values(),
    }  # fmt: skip


def test_no_page_loads_or_leads_anywhere_but_to_the_others(pages: dict[str, Links]) -> None:
    assert set().union(*(page.found for page in pages.values())) == set(pages)


def test_the_index_says_how_fresh_each_club_is_how_many_rows_it_has_and_how_each_suite_went(
    pages: dict[str, Links],
) -> None:
    text = pages["index.html"].text
    assert "As of 2026-03-31 12:00 UTC" in text
    assert f"<dunes> STUCK {STUCK} 2026-03-31 12:00 1,100 1,100 hills" in text
    assert "<dunes> holds holds 1 broken 1 broken 2026-03-31 12:00" in text
    assert "hills FRESH Published by the last refresh. 2026-03-31 12:00 90 90 new" in text
    assert "hills holds holds holds holds 2026-03-31 12:00" in text
    assert "new/../club NEVER_PUBLISHED Nothing has been published: its Tenant row is wrong" in text


def test_the_index_says_what_is_broken_by_whom_and_what_was_found(pages: dict[str, Links]) -> None:
    assert (
        "<dunes> tables_agree money_equals_scl Payments and refunds on the timeline equal what SCL settled, in number"
        " and in money. critical 1 100 timeline 3 payments; SCL 4" in pages["index.html"].text
    )


def test_a_suites_page_has_each_expectation_in_words_with_how_it_went(pages: dict[str, Links]) -> None:
    text = pages["as_usual.html"].text
    assert "Expectation Holds for Too early for Tenants that break it Times broken" in text
    assert "profiles The club has about as many profiles as usual. 1 0 1 1 records " in text
    assert "events The timeline has about as many events as usual. 2 0 0 0 " in text
    assert "10; usually 90 to 110 over 28 days" in text
    for suite in SUITES:
        shown = pages[f"{suite.name}.html"].text
        assert [e.name for e in suite.expectations if e.meaning not in shown] == []
    assert "id is never empty. 2 0 0 0 status" in pages["customer_profiles.html"].text


def test_a_clubs_page_has_its_services_its_trends_and_every_result(pages: dict[str, Links]) -> None:
    hills, dunes = pages[PAGES[HILLS]].text, pages[PAGES[DUNES]].text
    assert "TEETIME FRESH Read by the last refresh." in hills
    assert "profiles 2026-03-01 70 90 records 2026-03-01 70 90 events 2026-03-01 70 90 Expectations" in hills
    assert f"STUCK {STUCK}" in dunes
    for suite in SUITES:
        assert [e.name for e in suite.expectations if f"{e.meaning} holds 0" not in hills] == []
    assert "The club has about as many profiles as usual. broken 1 28 days 10; usually 90 to 110" in dunes
    assert "Nothing has been checked yet." in pages[PAGES[NEW]].text


def test_what_is_compared_with_the_past_is_too_early_for_a_club_known_for_six_days(
    early_pages: dict[str, Links],
) -> None:
    assert "hills holds holds holds too early 2026-03-31 12:00" in early_pages["index.html"].text
    hills = early_pages[PAGES[HILLS]].text
    assert "The club has about as many profiles as usual. too early 0 6 days" in hills
    assert "Payments and refunds on the timeline equal what SCL settled, in number and in money. holds 0 100" in hills
    assert "as many events as usual. 1 1 0 0 " in early_pages["as_usual.html"].text


def test_a_page_of_a_club_of_which_nothing_changed_stays(tmp_path: Path) -> None:
    write_twice(tmp_path)
    before = {name: (tmp_path / page).stat().st_ino for name, page in PAGES.items()}
    con = a_connection()
    create_results(con)
    write_pages(con, AS_OF, tmp_path, CLUBS, {DUNES})
    assert {name for name, page in PAGES.items() if (tmp_path / page).stat().st_ino != before[name]} == {DUNES}


def test_a_trend_is_a_line_from_day_to_day_and_there_is_none_of_one_day() -> None:
    assert build_trend_points([70, 80, 90]) == "0.0,23.0 60.0,12.0 120.0,1.0"
    assert build_trend_points([5, 5]) == "0.0,1.0 120.0,1.0"
    assert build_trend_points([5]) == ""
