"""The queries in docs/warehouse.md, each run as printed through a login that `database grant` made."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, NullPool, create_engine, text

from crm_pipeline.cli import main
from crm_pipeline_tests.fixtures.homes.support import clean_environment

PAGE = (Path(__file__).parents[2] / "docs" / "warehouse.md").read_text(encoding="utf-8")
QUERIES = dict(re.findall(r"\n([^\n]+)\n\n```sql\n(.*?)```", PAGE, re.DOTALL))
TENANT = "heather-moor"
EMPTY_AT_FIRST = "Changes of stage, month by month, as they happened since the pipeline watches."


@pytest.fixture(scope="module")
def club(sample_home: Path) -> Iterator[Connection]:
    """A BI tool of one club."""
    with clean_environment():
        done = CliRunner().invoke(main, ["database", "grant", "--home", str(sample_home), "--tenant", TENANT])
    assert done.exit_code == 0, done.output
    url = done.output.strip().replace("postgresql://", "postgresql+psycopg2://", 1)
    with create_engine(url, poolclass=NullPool).connect() as connection:
        yield connection


def answer(club: Connection, query: str) -> list[dict[str, Any]]:
    return [dict(row) for row in club.execute(text(query.replace("::", "\\:\\:"))).mappings()]


def test_the_page_has_the_promised_questions() -> None:
    for words in ("likely to leave", "lifecycle funnel by month", "Engagement by membership tier", "value by cohort"):
        assert any(words in title for title in QUERIES), words


@pytest.mark.parametrize("title", QUERIES)
def test_every_query_answers_as_printed(club: Connection, title: str) -> None:
    assert bool(answer(club, QUERIES[title])) == (title != EMPTY_AT_FIRST)


def test_the_funnel_and_the_tiers_count_everybody_once(club: Connection) -> None:
    people = club.execute(text("select count(*) from customer_profiles")).scalar()
    for words in ("funnel", "tier", "cohort"):
        (query,) = (query for title, query in QUERIES.items() if words in title)
        assert sum(row["people"] for row in answer(club, query)) == people


def test_money_of_the_cohorts_is_the_clubs_money(club: Connection) -> None:
    (query,) = (query for title, query in QUERIES.items() if "cohort" in title)
    paid = club.execute(text("select sum(amount_cents) / 100.0 from customer_timeline")).scalar()
    assert sum(row["until_now"] or 0 for row in answer(club, query)) == pytest.approx(paid)


def test_a_login_is_made_only_for_a_club_that_was_published(sample_home: Path) -> None:
    with clean_environment():
        done = CliRunner().invoke(main, ["database", "grant", "--home", str(sample_home), "--tenant", "nobody"])
    assert done.exit_code == 1
    assert "nothing is published of nobody" in done.output
