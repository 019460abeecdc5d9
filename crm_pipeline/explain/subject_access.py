"""Every row of every service that is about one person, as the lake holds it now: what a subject-access export is for.

A payment that failed or a record that was set aside makes no event and no score, and is personal data all the same.
What is shown here is what `forget` would take out, found by the same code.
"""

from crm_pipeline.domain.privacy.subject_rows import build_source_condition
from crm_pipeline.explain.formatting import Row
from crm_pipeline.explain.lake_reader import PersonRecords
from crm_pipeline.privacy.subject import Subject, find_subject_records
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.tables.columns import find_table_service, source_metadata


def read_subject_rows(people: PersonRecords, lake: Lake, tenant_id: str, profile_id: str) -> dict[str, list[Row]]:
    """The rows by `SERVICE.Table`, with what was wrong with those that are set aside as `_problems`."""
    find_subject_records(people.con, lake, [Subject(tenant_id, profile_id)], build_tenant_condition([tenant_id]))
    found = {}
    for table in source_metadata.tables.values():
        view = lake.current(people.con, table, tenants=[tenant_id], name="held_now")
        shown = ", ".join([*(column.key for column in table.columns), "_problems"])
        query = f"select {shown} from {view} t where {build_source_condition(table)} order by _record_key"
        if rows := people.con.sql(query).to_arrow_table().to_pylist():
            found[f"{find_table_service(table)}.{table.name}"] = rows
    return found
