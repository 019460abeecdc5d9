"""Rows of facts in a terminal, of which nothing is ever cut: a table where it fits, else a line per fact."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters

Fact = str | int | Sequence[str]
"""A number, a value, or several lines."""
UNLIMITED_WIDTH: Final = 100_000
SENTENCE_WIDTH: Final = 40
"""Characters after which a table breaks a line between words."""


def print_facts(
    console: Console, title: str, headings: Sequence[str], rows: Sequence[Sequence[Fact]], caption: str
) -> None:
    """Prints the rows, each named by its first fact, between title and caption."""
    table = _build_table(headings, rows)
    console.print(Text(title, style="italic"))
    if console.measure(table, options=console.options.update_width(UNLIMITED_WIDTH)).maximum <= console.width:
        console.print(table)
    else:
        for name, *facts in rows:
            console.print(Text(_format_fact(name), style="bold"))
            console.print(_build_fact_list(headings[1:], facts))
            console.print()
    console.print(Text(caption, style="dim"))


def _build_table(headings: Sequence[str], rows: Sequence[Sequence[Fact]]) -> Table:
    """Returns a table of which no cell is broken but at its own line ends."""
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False, show_edge=False, show_lines=True)
    for position, heading in enumerate(headings):
        is_number = all(isinstance(row[position], int) for row in rows)
        title = "\n".join(heading.split()) if is_number else heading
        table.add_column(Text(title), justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_break_lines(_format_fact(fact))) for fact in row))
    return table


def _break_lines(text: str) -> str:
    lines = (wrap(line, SENTENCE_WIDTH, break_long_words=False, break_on_hyphens=False) for line in text.splitlines())
    return "\n".join(part for parts in lines for part in parts)


def _build_fact_list(headings: Sequence[str], facts: Sequence[Fact]) -> Table:
    """Returns a line per fact, broken between words where it is longer than the terminal is wide."""
    lines = Table.grid(padding=(0, 2))
    lines.add_column(no_wrap=True)
    lines.add_column(overflow="fold")
    for heading, fact in zip(headings, facts, strict=True):
        lines.add_row(Text(f"  {heading}"), Text(_format_fact(fact)))
    return lines


def _format_fact(fact: Fact) -> str:
    if isinstance(fact, int):
        return f"{fact:,}"
    lines = [fact] if isinstance(fact, str) else fact
    return "\n".join(map(escape_invisible_characters, lines))
