"""The data dictionary: every declared table, column and setting in Markdown; `make docs` writes it."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Table

from crm_pipeline.settings import ENVIRONMENT_VARIABLES
from crm_pipeline.tables import PUBLISHED_TABLES, list_source_tables
from crm_pipeline.tables.projections import to_duckdb_type, to_postgres_type
from crm_pipeline.tables.views import PUBLISHED_VIEWS
from crm_pipeline.vocabulary import Service

DICTIONARY_FILE = Path(__file__).parents[2] / "docs" / "data-dictionary.md"
DICTIONARY_HEADER = """# Data dictionary

Generated from the declarations in `crm_pipeline/tables` by `make docs`; a test holds that it is current.
"""


def render_data_dictionary() -> str:
    """Returns the data dictionary in Markdown."""
    lines = [DICTIONARY_HEADER, "## What comes out: schema `crm` in PostgreSQL\n"]
    for table in PUBLISHED_TABLES:
        lines += _render_table_section(f"crm.{table.name}", table, [to_postgres_type(c) for c in table.columns])
    for view in PUBLISHED_VIEWS:
        lines += _render_table_section(f"crm.{view.name} (view)", view, [to_postgres_type(c) for c in view.columns])
    lines += ["### crm.profile_redirects\n", "View: former profile ids and the live profile each now means.\n"]
    for service in Service:
        lines += [f"## What goes in: {service}\n"]
        for table in list_source_tables(service):
            lines += _render_table_section(table.name, table, [to_duckdb_type(c) for c in table.columns])
    lines += ["## Settings\n", "| variable | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in ENVIRONMENT_VARIABLES.items()]
    return "\n".join(lines) + "\n"


def _render_table_section(title: str, table: Table, column_types: list[str]) -> Iterator[str]:
    yield f"### {title}\n"
    yield f"{table.comment}\n"
    yield "| column | type | meaning |"
    yield "|---|---|---|"
    for column_type, column in zip(column_types, table.columns, strict=True):
        key = " **key**" if column.primary_key else ""
        allowed = f" One of {', '.join(column.info['allowed'])}." if column.info.get("allowed") else ""
        type_text = f"{column_type.lower()}{', null' if column.nullable else ''}{key}"
        yield f"| `{column.name}` | {type_text} | {column.comment}{allowed} |"
    yield ""


if __name__ == "__main__":
    DICTIONARY_FILE.write_text(render_data_dictionary(), encoding="utf-8")
