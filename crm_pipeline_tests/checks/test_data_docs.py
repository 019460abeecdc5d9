"""Data Docs: what the pages say, and that they load nothing from the web."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from crm_pipeline.checks.data_docs import write_data_docs
from crm_pipeline.checks.expectations import SUITES
from crm_pipeline_tests.fixtures.servers.warehouses import AS_OF, a_connection

HILLS, DUNES = "hills", "<dunes>"


class Links(HTMLParser):
    """The text of a page, and every address in it that a browser would load or open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set(re.findall(r"url\(|@import|https?://[^\s\"'<]+", page))
        self.text = ""
        self.feed(page)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {value or "" for name, value in attrs if name in {"href", "src", "srcset", "action", "data"}}

    def handle_data(self, data: str) -> None:
        self.text += f" {data.strip()}"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Links]:
    """The pages of two clubs: one valid, one that breaks an agreement and has fewer profiles than usual."""
    folder = tmp_path_factory.mktemp("home") / "data_docs"
    broken = {"money_equals_scl": "timeline 3 payments; SCL 4", "profiles": "10; usually 90 to 110 over 28 days"}
    rows = [
        {
            "tenant_id": tenant,
            "suite": suite.name,
            "expectation": expected.name,
            "success": tenant == HILLS or expected.name not in broken,
            "is_critical": suite.is_critical,
            "unexpected_count": int(tenant == DUNES and expected.name in broken),
            "rows": 100,
            "observed": broken.get(expected.name) if tenant == DUNES else None,
            "checked_at": AS_OF,
        }
        for suite in SUITES
        for expected in suite.expectations
        for tenant in (HILLS, DUNES)
    ]
    con = a_connection()
    con.register("results", pd.DataFrame(rows))
    for _ in range(2):
        write_data_docs(con, "results", AS_OF, folder)
    return {file.name: Links(file.read_text(encoding="utf-8")) for file in folder.iterdir()}


def test_there_is_an_index_and_a_page_per_suite_and_nothing_half_written(pages: dict[str, Links]) -> None:
    assert set(pages) == {
        "index.html", "customer_profiles.html", "customer_timeline.html", "tables_agree.html", "as_usual.html",
    }  # fmt: skip


def test_no_page_loads_or_leads_anywhere_but_to_the_others(pages: dict[str, Links]) -> None:
    assert set().union(*(page.found for page in pages.values())) == set(pages)


def test_the_index_says_what_is_broken_by_whom_and_what_was_found(pages: dict[str, Links]) -> None:
    text = re.sub(r"\s+", " ", pages["index.html"].text)
    assert "As of 2026-03-31 12:00 UTC" in text
    assert (
        "<dunes> tables_agree money_equals_scl Payments and refunds on the timeline equal what SCL settled, in number"
        " and in money. critical 1 100 timeline 3 payments; SCL 4" in text
    )
    assert "<dunes> holds holds 1 broken 1 broken 2026-03-31 12:00" in text
    assert "hills holds holds holds holds 2026-03-31 12:00" in text


def test_a_suites_page_has_each_expectation_in_words_with_how_it_went(pages: dict[str, Links]) -> None:
    text = re.sub(r"\s+", " ", pages["as_usual.html"].text)
    assert "The club has about as many profiles as usual. broken 1 times, by 1 of 2 tenants" in text
    assert "The timeline has about as many events as usual. holds for all 2 tenants" in text
    assert "10; usually 90 to 110 over 28 days" in text
    for suite in SUITES:
        shown = re.sub(r"\s+", " ", pages[f"{suite.name}.html"].text)
        assert [e.name for e in suite.expectations if e.meaning not in shown] == []
