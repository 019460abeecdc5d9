"""Which rows of a service are judged again: those that changed or reached a time, and everything of whose they are.

A row is judged by itself, by the hour and by the record of a person that it names. So whatever is not judged again has
the faults it had. Here: which rows, and which of what was set aside they settle. Not here: judging (`records`), and
what was stirred (`touched`).
"""

from collections.abc import Sequence

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.domain.touched import own_column
from crm_pipeline.tables.columns import SHORT
from crm_pipeline.tables.projections import duckdb_type, lake_name


def rejudged_rows(con: DuckDBPyConnection, table: Table) -> str:
    """Create temp table `rejudged_<lake name>`: the rows of `present_<lake name>` to be judged again; return its name.

    Reads `stirred` and `changed_<lake name>`. A row without a key is judged every time: nothing tells it from others.
    """
    own, name = own_column(table), lake_name(table)
    theirs = f"select tenant_id, try_cast(record_id as {duckdb_type(own)}) as {own.key} from stirred"
    con.execute(f"""
        create or replace temp table rejudged_{name} as
        from present_{name} semi join ({theirs}) using (tenant_id, {own.key})
        union from present_{name} semi join changed_{name} using (tenant_id, id)
        union from present_{name} where id is null""")
    return f"rejudged_{name}"


def is_rejudged(tables: Sequence[Table]) -> str:
    """The condition on quarantined_records that the rows were judged again, or are gone."""
    ids = " union ".join(
        f"select tenant_id, '{table.name}', left(cast(id as varchar), {SHORT}) from {which}_{lake_name(table)}"
        for table in tables
        for which in ("rejudged", "changed")
    )
    those = f"select (tenant_id, table_name, record_id) from ({ids}) as ids (tenant_id, table_name, record_id)"
    return f"service_record_id is null or (tenant_id, table_name, service_record_id) in ({those})"
