"""What of the rows that were set aside is settled by judging only some of a service again.

A row is judged by itself, by the hour and by the record of a person that it names. So whatever was not stirred, nor its
person, has the faults it had. Not here: which rows those are (`stirred`, `needed`), and judging (`records`).
"""

from collections.abc import Sequence

from sqlalchemy import Table

from crm_pipeline.tables.columns import SHORT
from crm_pipeline.tables.projections import lake_name


def is_rejudged(tables: Sequence[Table]) -> str:
    """The condition on quarantined_records that the rows were judged again, or are gone."""
    ids = " union ".join(
        f"select tenant_id, '{table.name}', left(cast(id as varchar), {SHORT}) from {which}_{lake_name(table)}"
        for table in tables
        for which in ("needed", "changed")
    )
    those = f"select (tenant_id, table_name, record_id) from ({ids}) as ids (tenant_id, table_name, record_id)"
    return f"service_record_id is null or (tenant_id, table_name, service_record_id) in ({those})"
