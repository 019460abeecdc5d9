"""The words of the code: names that say what they mean, no retired vocabulary, a page that leads to real files."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from crm_pipeline_tests.project.test_architecture import MODULES, PACKAGE, ROOT

RETIRED = set(
    """
    stirred touched reached retold rejudged unsettled noted decisive told tell tells fate bookkeeping rivals doubt
    carriers homeless nameless minted lesson followers stones needles verdict beside sound believed
    """.split()  # noqa: SIM905  a list of words reads better than a list of literals
)
"""Words once private to this code, each of which the field has a name for; see the glossary in docs/architecture.md."""
ON_DISK = {"minted_service", "minted_record_id"}
"""Columns of the lake, which are never renamed."""
SQL_NAME = re.compile(r"\b(?:from|join|as|into|table|view|update|with)\s+([a-z]\w*)|\b([a-z]\w*_\w*)", re.IGNORECASE)
SAYS_WHAT_IS_NOT_HERE = re.compile("not here|does not belong|belongs to", re.IGNORECASE)
LEAST_WORDS = 2.3


def test_no_name_has_a_retired_word() -> None:
    found = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.sql")]
        for name in names_in(file)
        if name not in ON_DISK and words_of(name) & RETIRED
    }
    assert not found


def test_functions_are_named_by_a_verb_and_an_object() -> None:
    functions = [
        node.name.strip("_")
        for file in MODULES.values()
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    ]
    assert sum(len(name.split("_")) for name in functions) / len(functions) >= LEAST_WORDS


def test_no_docstring_says_what_a_file_is_not() -> None:
    found = {
        f"{module}: {docstring[:60]}"
        for module, file in MODULES.items()
        for docstring in docstrings_in(file)
        if SAYS_WHAT_IS_NOT_HERE.search(docstring)
    }
    assert not found


def test_every_place_that_the_page_of_the_architecture_names_exists() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+(?:/|\.py|\.sql|\.toml))`", page))
    assert len(named) > 60
    missing = {name for name in named if not (PACKAGE / name).exists() and not (ROOT / name).exists()}
    assert not missing


def words_of(name: str) -> set[str]:
    """The words of a name, split at underscores and capitals, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def names_in(file: Path) -> Iterator[str]:
    """Identifiers of a module or a query, with the names in the SQL that a module has in its strings."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".sql":
        yield from sql_names(re.sub("--.*", "", text))
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            yield token.string
    documented = set(docstrings_in(file))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in documented:
            yield from sql_names(node.value)


def sql_names(query: str) -> Iterator[str]:
    """Names of relations, columns and aliases; literals are not names."""
    for match in SQL_NAME.finditer(re.sub("'[^']*'", "''", query)):
        yield match[1] or match[2]


def docstrings_in(file: Path) -> Iterator[str]:
    """Docstrings of a module, its classes and functions, and the strings after its assignments."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        for statement in getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                yield str(statement.value.value)
