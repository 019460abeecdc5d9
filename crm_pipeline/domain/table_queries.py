"""SQL over tables in memory."""

from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa


def query_tables(
    con: duckdb.DuckDBPyConnection, query: str, tables: Mapping[str, pa.Table], params: Mapping[str, Any] | None = None
) -> pa.Table:
    """Returns the rows of a query of `tables`, by their names in it; none of them stays on the connection."""
    for name, table in tables.items():
        con.register(name, table)
    try:
        return con.sql(query, params=params).to_arrow_table()
    finally:
        for name in tables:
            con.unregister(name)
