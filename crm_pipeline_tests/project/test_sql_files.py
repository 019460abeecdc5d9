"""Every .sql file says at its top which relations it reads and creates, and sqlglot finds exactly these in its text."""

import re
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from crm_pipeline.incremental.watermarks import PACKAGE

FILES = [file for file in sorted(PACKAGE.rglob("*.sql")) if "migrations" not in file.parts]
ROWS = "rows"
"""What a query creates whose rows are fetched."""


def read_declared(text: str, label: str) -> set[str]:
    """Returns the names after `-- <label>:`, without the remarks in brackets; a line that is indented goes on."""
    [entries] = re.findall(rf"^-- {label}: (.*(?:\n--  .*)*)", text, re.MULTILINE)
    words = re.sub(r"\([^)]*\)", "", entries.replace("\n--", ""))
    return {word.strip() for word in words.split(",")}


def find_relations(text: str) -> tuple[set[str], set[str]]:
    """Returns the relations that the statements of a text read from elsewhere, and those that they create."""
    statements = [statement for statement in sqlglot.parse(text, read="duckdb") if statement]
    created = {statement.this.name for statement in statements if isinstance(statement, exp.Create)}
    read = set()
    for statement in statements:
        own = {part.alias for part in statement.find_all(exp.CTE)}
        read |= {table.name for table in statement.find_all(exp.Table)} - own
    return read - created, created


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_reads_and_creates_what_it_says(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    read, created = find_relations(text)
    assert read_declared(text, "reads") == read
    if created:
        assert read_declared(text, "creates") == created
    else:
        [name] = read_declared(text, "creates")
        assert name == ROWS or any(
            re.search(rf"\b{name}\b", module.read_text(encoding="utf-8")) for module in file.parent.glob("*.py")
        )


def test_a_relation_that_is_not_declared_is_found() -> None:
    text = "create table a as with b as (from c) from b join d using (x)"
    assert find_relations(text) == ({"c", "d"}, {"a"})
