"""The data dictionary: every declared table, column and setting as Markdown; `make docs` writes it."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Table

from crm_pipeline.settings import VARIABLES
from crm_pipeline.tables import PUBLISHED, source_tables
from crm_pipeline.tables.projections import duckdb_type, postgres_type
from crm_pipeline.vocabulary import Service

FILE = Path(__file__).parents[2] / "docs" / "data-dictionary.md"
HEAD = """# Data dictionary

Generated from the declarations in `crm_pipeline/tables` by `make docs`; a test holds that it is current.
"""


def data_dictionary() -> str:
    """The whole dictionary."""
    lines = [HEAD, "## What comes out: schema `crm` in PostgreSQL\n"]
    for table in PUBLISHED:
        lines += _section(f"crm.{table.name}", table, [postgres_type(c) for c in table.columns])
    lines += ["### crm.profile_redirects\n", "View: former profile ids and the live profile each now means.\n"]
    for service in Service:
        lines += [f"## What goes in: {service}\n"]
        for table in source_tables(service):
            lines += _section(table.name, table, [duckdb_type(c) for c in table.columns])
    lines += ["## Settings\n", "| variable | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items()]
    return "\n".join(lines) + "\n"


def _section(title: str, table: Table, kinds: list[str]) -> Iterator[str]:
    yield f"### {title}\n"
    yield f"{table.comment}\n"
    yield "| column | type | meaning |"
    yield "|---|---|---|"
    for kind, column in zip(kinds, table.columns, strict=True):
        key = " **key**" if column.primary_key else ""
        allowed = f" One of {', '.join(column.info['allowed'])}." if column.info.get("allowed") else ""
        shown = f"{kind.lower()}{', null' if column.nullable else ''}{key}"
        yield f"| `{column.name}` | {shown} | {column.comment}{allowed} |"
    yield ""


if __name__ == "__main__":
    FILE.write_text(data_dictionary(), encoding="utf-8")
