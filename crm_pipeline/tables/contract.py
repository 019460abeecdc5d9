"""Version 1 of schema `crm` as a contract with its readers; `python -m crm_pipeline.tables.contract` writes it.

Within a version a column may be added or better described; nothing that a query relies on may change or disappear.
"""

import json
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from crm_pipeline.tables import PUBLISHED_TABLES
from crm_pipeline.tables.projections import list_key_columns, to_postgres_type
from crm_pipeline.tables.views import PUBLISHED_VIEWS

CONTRACT_FILE = Path(__file__).parents[2] / "docs" / "crm-v1.json"


def build_contract() -> dict[str, Any]:
    """Returns the contract of each published table and view: its key, and type and nullability of each column."""
    return {
        table.name: _build_table_contract(table)
        for table in sorted((*PUBLISHED_TABLES, *PUBLISHED_VIEWS), key=lambda table: table.name)
    }


def _build_table_contract(table: Table) -> dict[str, Any]:
    column_types = {c.name: f"{to_postgres_type(c).lower()}{'' if c.nullable else ' not null'}" for c in table.columns}
    return {"key": list(list_key_columns(table)), "columns": column_types}


if __name__ == "__main__":
    CONTRACT_FILE.write_text(json.dumps(build_contract(), indent=2) + "\n", encoding="utf-8")
