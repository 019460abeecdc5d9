"""Imports point one way, pure code stays pure, names stay plain, and what is generated is current."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_pipeline.tables.dictionary import DICTIONARY_FILE, render_data_dictionary

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "crm_pipeline"
ORDER = (
    "vocabulary",
    "settings",
    "faults",
    "tables.columns",
    "tables.projections",
    "tables.sources",
    "tables.outputs",
    "tables",
    "domain",
    "resources.private_files",
    "resources.locking",
    "resources.lake",
    "resources.sources",
    "resources.warehouse.schema",
    "resources.warehouse.publishing",
    "resources.warehouse",
    "resources.postgres",
    "resources.dagster_storage",
    "resources.privacy",
    "resources.connections",
    "resources",
    "run_context",
    "incremental",
    "checks",
    "steps",
    "privacy",
    "explain",
    "defs.progress_lines",
    "defs.metadata",
    "defs.console_logger",
    "defs.dagster_context",
    "defs.resources",
    "defs",
    "definitions",
    "sample",
    "cli",
    "migrations",
)
"""Low to high. A module imports from its own place and those before it; the longest name that fits is its place."""
SHIMS = {"crm_pipeline", "crm_pipeline.assets", "crm_pipeline.assets.alerts"}
"""Modules kept for what installations import, excepted from the order; nobody here imports them."""
IMPURE = {"dagster", "deltalake", "adbc_driver_postgresql", "psycopg2", "time", "os", "socket", "subprocess"}
"""What no module of the domain may import: orchestration, any database but the DuckDB it is given, clock, machine."""
MOST_MODULES = 15


def name_of(file: Path) -> str:
    """The dotted name of a module."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in sorted(PACKAGE.rglob("*.py")) if "versions" not in file.parts}


def imports_of(file: Path) -> Iterator[str]:
    """The modules that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = [f"{node.module}.{name.name}" for name in node.names]
            yield from submodules if all(name in MODULES for name in submodules) else (node.module, *submodules)


def place_of(module: str) -> int:
    """The place of a module of the package in the order."""
    within = module.removeprefix("crm_pipeline.")
    fitting = [place for place in ORDER if within == place or within.startswith(f"{place}.")]
    return ORDER.index(max(fitting, key=len))


@pytest.mark.parametrize("module", sorted(MODULES.keys() - SHIMS))
def test_a_module_imports_nothing_above_its_place(module: str) -> None:
    ours = {name for name in imports_of(MODULES[module]) if name in MODULES}
    assert not ours & SHIMS - {"crm_pipeline"}
    above = {name for name in ours - SHIMS if place_of(name) > place_of(module)}
    assert not above, f"{module} imports {above}"


def test_nothing_below_defs_imports_dagster_but_its_storage() -> None:
    lower = [module for module in MODULES.keys() - SHIMS if place_of(module) < ORDER.index("defs.metadata")]
    telling = {m for m in lower if any(name.startswith("dagster") for name in imports_of(MODULES[m]))}
    assert {module.rpartition(".")[0] for module in telling} == {"crm_pipeline.resources.dagster_storage"}


def list_dagster_functions() -> Iterator[tuple[str, set[str]]]:
    """Every function that Dagster runs and that may use a server or the lake, with the names that occur in it."""
    for file in (PACKAGE / "defs").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                calls = {ast.unparse(each.func) for each in node.decorator_list if isinstance(each, ast.Call)}
                if calls & {"dg.op", "dg.asset", "dg.multi_asset", "dg.sensor", "dg.resource"}:
                    yield node.name, {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def test_no_error_reaches_dagster_with_its_own_words() -> None:
    functions = dict(list_dagster_functions())
    assert len(functions) > 15
    assert [name for name, used in functions.items() if not used & {"report_errors", "open_run_context"}] == []


def test_steps_run_where_dagster_is_not_imported() -> None:
    steps = sorted(module for module in MODULES if module.startswith("crm_pipeline.steps"))
    # In an interpreter of its own: this one has imported Dagster already.
    program = f"import sys\nfor name in {steps}: __import__(name)\nassert 'dagster' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("crm_pipeline.domain")])
def test_the_domain_knows_no_dagster_no_database_no_clock(module: str) -> None:
    assert not {name.split(".")[0] for name in imports_of(MODULES[module])} & IMPURE
    assert "now(" not in MODULES[module].read_text(encoding="utf-8")


QUERIES = [file for file in sorted(PACKAGE.rglob("*.sql")) if "versions" not in file.parts]
"""Without those of revisions: a view is read at any time, and says how late a club is then."""


@pytest.mark.parametrize("query", QUERIES, ids=lambda path: path.stem)
def test_no_query_reads_the_clock(query: Path) -> None:
    words = query.read_text(encoding="utf-8").lower()
    assert not any(word in words for word in ("now()", "current_timestamp", "current_date", "today()"))


def test_no_folder_holds_more_modules_than_can_be_looked_through() -> None:
    folders = {file.parent for tree in (PACKAGE, ROOT / "crm_pipeline_tests") for file in tree.rglob("*.py")}
    assert [folder for folder in folders if len(list(folder.glob("*.py"))) > MOST_MODULES] == []


def test_what_installations_hold_copies_of_is_still_there() -> None:
    from crm_pipeline.assets.alerts import Alert  # noqa: PLC0415
    from crm_pipeline.migrations.__main__ import draft_revision  # noqa: PLC0415
    from crm_pipeline.resources.dagster_storage import SettingsStorage  # noqa: PLC0415

    assert all(map(callable, (Alert, draft_revision, SettingsStorage)))


def test_the_data_dictionary_is_current() -> None:
    assert DICTIONARY_FILE.read_text(encoding="utf-8") == render_data_dictionary(), "run make docs"


def test_the_repository_names_no_package_registry() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text(encoding="utf-8")
