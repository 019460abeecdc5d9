"""Nothing is cut in a terminal of any width: a table where all of it fits, else a line per fact."""

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from crm_pipeline.cli.output.fact_table import Fact, print_facts

HEADINGS = ("tenant", "profiles", "why", "services")
CLUBS: list[list[Fact]] = [
    ["heather-moor", 1234, "The tables keep 2026-03-31 12:00 UTC: its Tenant row is wrong", ["SCL FRESH", "CRM LATE"]],
    ["links", 7, "Published by the last refresh.", []],
]


def shown(rows: list[list[Fact]], width: int) -> str:
    output = StringIO()
    print_facts(Console(file=output, width=width), "Clubs", HEADINGS, rows, "and what to do")
    return output.getvalue()


def test_a_wide_terminal_gets_a_line_per_club_and_sentences_broken_between_words() -> None:
    lines = [line.split("  ") for line in shown(CLUBS, 200).splitlines()]
    first = next(line for line in lines if line[0].strip() == "heather-moor")
    assert [part.strip() for part in first if part.strip()] == [
        "heather-moor", "1,234", "The tables keep 2026-03-31 12:00 UTC:", "SCL FRESH",
    ]  # fmt: skip


def test_a_narrow_terminal_gets_a_line_per_fact() -> None:
    assert [line.rstrip() for line in shown(CLUBS, 60).splitlines()] == [
        "Clubs",
        "heather-moor",
        "  profiles  1,234",
        "  why       The tables keep 2026-03-31 12:00 UTC: its Tenant",
        "            row is wrong",
        "  services  SCL FRESH",
        "            CRM LATE",
        "",
        "links",
        "  profiles  7",
        "  why       Published by the last refresh.",
        "  services",
        "",
        "and what to do",
    ]


WORDS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=20)
LINES = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)
FACTS = st.tuples(WORDS, st.integers(0, 10**12), LINES, st.lists(LINES, max_size=3)).map(list)


@given(st.lists(FACTS, min_size=1, max_size=3), st.integers(40, 250))
def test_every_word_is_there_in_whatever_width(rows: list[list[Fact]], width: int) -> None:
    text = shown(rows, width)
    assert "…" not in text
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    printed = text.split()
    for fact in (fact for row in rows for fact in row):
        shown_as = f"{fact:,}" if isinstance(fact, int) else fact if isinstance(fact, str) else " ".join(fact)
        assert [word for word in shown_as.split() if word not in printed] == []


@pytest.mark.parametrize("width", [80, 200])
def test_markup_in_a_name_is_shown_as_it_is(width: int) -> None:
    assert "[red]links" in shown([["[red]links", 1, "why", []]], width)


@pytest.mark.parametrize("width", [20, 200])
def test_what_steers_a_terminal_or_ends_a_line_is_escaped(width: int) -> None:
    output = shown([["links\x1b[2J", 7, "it\u202ekcol", ["SCL\nFRESH"]]], width)
    assert all(line.isprintable() for line in output.split("\n"))
    assert r"\x1b[2J" in output
