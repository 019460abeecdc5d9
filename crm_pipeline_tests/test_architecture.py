"""Imports point one way, pure code stays pure, and what is generated is current."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_pipeline.tables.dictionary import FILE, data_dictionary

PACKAGE = Path(__file__).parents[1] / "crm_pipeline"
LAYERS = ("vocabulary", "settings", "tables", "domain", "resources", "checks", "assets", "forget", "definitions")
COMMANDS = ("cli", "cli_options", "cli_privacy", "cli_questions")
ABOVE = (*COMMANDS, "privacy_requests", "explain", "what_if", "refresh_run", "workplace", "working_copy")
"""Each layer may import those before it; these stand above them all."""
IMPURE = {"dagster", "deltalake", "adbc_driver_postgresql", "psycopg2", "time", "os", "socket", "subprocess"}
"""What no module of the domain may import: orchestration, any database but the DuckDB it is given, clock, machine."""


def _imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _modules(layer: str) -> list[Path]:
    folder = PACKAGE / layer
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{layer}.py"]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_those_below_it(layer: str) -> None:
    above = {f"crm_pipeline.{name}" for name in (*LAYERS[LAYERS.index(layer) + 1 :], *ABOVE)}
    for module in _modules(layer):
        wrong = {name for name in _imports(module) if any(name == a or name.startswith(f"{a}.") for a in above)}
        assert not wrong, f"{module.name} imports {wrong}"


@pytest.mark.parametrize("module", _modules("domain"), ids=lambda path: path.stem)
def test_the_domain_knows_no_dagster_no_database_no_clock(module: Path) -> None:
    assert not {name.split(".")[0] for name in _imports(module)} & IMPURE
    assert "now(" not in module.read_text(encoding="utf-8")


@pytest.mark.parametrize("query", sorted(PACKAGE.rglob("*.sql")), ids=lambda path: path.stem)
def test_no_query_reads_the_clock(query: Path) -> None:
    words = query.read_text(encoding="utf-8").lower()
    assert not any(word in words for word in ("now()", "current_timestamp", "current_date", "today()"))


def test_the_data_dictionary_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == data_dictionary(), "run make docs"


def test_the_repository_names_no_package_registry() -> None:
    lock = (PACKAGE.parent / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
