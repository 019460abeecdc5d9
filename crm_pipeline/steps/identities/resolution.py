"""Calling identity resolution: its inputs read from the lake, its answer as relations shaped like the tables.

Belongs here: what everybody shares who resolves tenants of the lake. Does not belong here: keeping the answer
(`kept_identities.py`), the asset (`identities.py`), and who is whom (`domain/identities.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa
from sqlalchemy import Table

from crm_pipeline.domain.contact_keys.person_records import normalise_people, normalise_suppressed_values
from crm_pipeline.domain.identity.resolve import ResolutionInputs, resolve_identities
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.outputs import identity

RECORDS_QUERY: Final = """
    select tenant_id, service, record_id, auth_user_id, email, phone_number, comparable_first_name as first_name,
        comparable_last_name as last_name from people"""
OVERRIDES_QUERY: Final = """
    select tenant_id, service_a, record_id_a, service_b, record_id_b, decision
    from crm_identity_override join tenants using (tenant_id)"""
IDENTITIES_WITH_PRIMARY_SQL: Final = """
    create or replace temp table found_identities as
    select i.*, s.email_is_shared, s.phone_is_shared,
        row_number() over (partition by i.tenant_id, profile_id, i.service
            order by is_active desc, updated_at desc, record_order) = 1 as is_primary
    from resolved_identities i
    join people p on p.tenant_id = i.tenant_id and p.service = i.service and p.record_id = i.service_record_id
    join shared_values s on s.tenant_id = i.tenant_id and s.service = i.service and s.record_id = i.service_record_id"""
RESOLVED_RELATIONS: Final = {
    identity.profile_events: "new_events",
    identity.identity_reviews: "found_reviews",
    identity.customer_identities: "found_identities",
    identity.profile_ids: "found_ids",
}
"""The relation each table of identities is found in; of the events only those of this run."""
ALL_ROWS: Final = dict.fromkeys(RESOLVED_RELATIONS, "true")
"""The conditions of whom all is known."""


def read_records(run: RunContext) -> None:
    """Create temp tables `people` and `suppressed`: what identity resolution compares, for the loaded tenants."""
    normalise_people(run.con)
    normalise_suppressed_values(run.con)


def resolve_tenants(run: RunContext, tenants: Sequence[str], theirs: Mapping[Table, str] = ALL_ROWS) -> None:
    """Resolve tenants whose records were read, after what the lake knows of them; create the relations of `FOUND`.

    `theirs` are the conditions for what is known of those records, where they are not all that the tenants have.
    """

    def found(query: str) -> pa.Table:
        return run.con.sql(f"from ({query}) where {build_tenant_condition(tenants)}").to_arrow_table()

    def before(table: Table) -> pa.Table:
        columns = ", ".join(column.key for column in table.columns)
        known = run.lake.current(run.con, table, tenants=tenants, name=f"known_{table.name}")
        return found(f"select {columns} from {known} where {theirs[table]}")

    inputs = ResolutionInputs(
        records=found(RECORDS_QUERY),
        tenants=found("select tenant_id, min_confidence from tenants"),
        suppressed=found("from suppressed"),
        overrides=found(OVERRIDES_QUERY),
        previous_identities=before(identity.customer_identities),
        previous_ids=before(identity.profile_ids),
        previous_reviews=before(identity.identity_reviews),
        as_of=run.as_of,
        run_id=run.run_id,
    )
    resolution = resolve_identities(run.con, inputs)
    run.con.register("resolved_identities", resolution.customer_identities)
    run.con.register("shared_values", resolution.shared_values)
    run.con.register("found_ids", resolution.profile_ids)
    run.con.register("new_events", resolution.profile_events)
    run.con.register("found_reviews", resolution.identity_reviews)
    run.con.execute(IDENTITIES_WITH_PRIMARY_SQL)
