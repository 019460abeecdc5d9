"""The subject-access export: every row of every service about one person, as the lake has it now.

It includes rows that no event or score uses, such as failed payments and quarantined records.
`find_subject_records` selects the same rows as for erasure by `forget`.
"""

from crm_pipeline.domain.privacy.subject_rows import build_source_condition
from crm_pipeline.explain.formatting import Row
from crm_pipeline.explain.lake_reader import PersonRecords
from crm_pipeline.privacy.subject import Subject, find_subject_records
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.tables.columns import find_table_service, source_metadata


def read_subject_rows(people: PersonRecords, lake: Lake, tenant_id: str, profile_id: str) -> dict[str, list[Row]]:
    """Returns the profile's rows by `SERVICE.Table`, with the faults of invalid rows as `_problems`."""
    find_subject_records(people.con, lake, [Subject(tenant_id, profile_id)], build_tenant_condition([tenant_id]))
    rows_by_table = {}
    for table in source_metadata.tables.values():
        view = lake.create_current_view(people.con, table, tenants=[tenant_id], name="current_rows")
        columns = ", ".join([*(column.key for column in table.columns), "_problems"])
        query = f"select {columns} from {view} t where {build_source_condition(table)} order by _record_key"
        if rows := people.con.sql(query).to_arrow_table().to_pylist():
            rows_by_table[f"{find_table_service(table)}.{table.name}"] = rows
    return rows_by_table
