"""docs/quality.md says of every expectation what its result says."""

from pathlib import Path

import pytest

from crm_pipeline.checks.anomalies import (
    ABSOLUTE_MARGIN,
    BASELINE_DAYS,
    MAD_SCALE,
    MEASURES,
    MIN_BASELINE_DAYS,
    RELATIVE_MARGINS,
    STORED_DAYS,
    Z_SCORE_LIMIT,
)
from crm_pipeline.checks.cross_table import AGREEMENTS
from crm_pipeline.checks.expectations import PROFILE_RULES, SUITES, TIMELINE_RULES

PAGE = (Path(__file__).parents[2] / "docs" / "quality.md").read_text(encoding="utf-8")
FAMILIES = ("share_of_", "linked_by_")
NAMED = {
    name: said.meaning
    for expected in (PROFILE_RULES, TIMELINE_RULES, AGREEMENTS, MEASURES)
    for name, said in expected.items()
    if not name.startswith(FAMILIES)
}


@pytest.mark.parametrize("name", NAMED)
def test_the_page_explains_every_expectation_in_the_same_words(name: str) -> None:
    assert f"| `{name}` | {NAMED[name]} |" in PAGE


def test_the_page_has_every_suite_and_family() -> None:
    assert all(f"`{suite.name}`" in PAGE for suite in SUITES)
    assert all(f"`{family}…`" in PAGE for family in FAMILIES)


def test_the_page_has_the_numbers_of_the_band() -> None:
    band = PAGE.partition("**The usual**")[2]
    said = (
        f"{BASELINE_DAYS} days",
        f"{Z_SCORE_LIMIT} ",
        f"{MAD_SCALE} ",
        f"{ABSOLUTE_MARGIN} rows",
        f"until {MIN_BASELINE_DAYS} days",
    )
    assert [words for words in said if words not in band] == []
    assert f"{RELATIVE_MARGINS['rows']:.0%}".replace("%", " %") in band
    assert f"{100 * RELATIVE_MARGINS['share']:.0f} points" in band
    assert f"for {STORED_DAYS} days" in PAGE
