"""Identity resolution of lake tenants: inputs read from the lake, results as relations shaped like the tables."""

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa
from sqlalchemy import Table

from crm_pipeline.domain.contact_keys.person_records import normalise_people, normalise_suppressed_values
from crm_pipeline.domain.identity.overrides import find_ineffective_decisions
from crm_pipeline.domain.identity.resolve import ResolutionInputs, resolve_identities
from crm_pipeline.domain.ingest.text_cleaning import build_canonical_id_sql, build_line_sql
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.projections import list_key_columns
from crm_pipeline.tables.sources import crm

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
"""Per identity table the relation with its resolved rows; of profile_events only the new ones."""
ALL_ROWS: Final = dict.fromkeys((*RESOLVED_RELATIONS, identity.withheld_consents, crm.identity_override), "true")
"""Conditions that select all rows of the identity tables, and all overrides."""


_RECORD_ID_COLUMNS: Final = {
    identity.customer_identities: ("service_record_id", "linked_to_record_id"),
    identity.profile_ids: ("minted_record_id", "anchor_record_id"),
}


def read_records(run: RunContext) -> None:
    """Creates temp table `people`, normalised anew from the loaded rows, and the tables of `read_decisions`."""
    normalise_people(run.con)
    read_decisions(run)


def read_decisions(run: RunContext, conditions: Mapping[Table, str] = ALL_ROWS) -> None:
    """Creates temp tables `suppressed` and `ineffective_decisions` of the loaded tenants.

    Where `people` has only some of a tenant's records, `conditions` select the overrides about these.
    """
    normalise_suppressed_values(run.con)
    find_ineffective_decisions(run.con, conditions[crm.identity_override])


def resolve_tenants(run: RunContext, tenants: Sequence[str], conditions: Mapping[Table, str] = ALL_ROWS) -> None:
    """Creates the relations of RESOLVED_RELATIONS: the resolved identities of these tenants.

    Where `people` has only some of a tenant's records, `conditions` select the stored rows about these.

    Reads: the tables of `read_records`, `tenants`, crm_identity_override, and the stored tables.
    """

    def read_rows_of_tenants(query: str) -> pa.Table:
        return run.con.sql(f"from ({query}) where {build_tenant_condition(tenants)}").to_arrow_table()

    def read_previous_rows(table: Table) -> pa.Table:
        columns = ", ".join(column.key for column in table.columns)
        stored_view = run.lake.create_current_view(run.con, table, tenants=tenants, name=f"previous_{table.name}")
        rows = f"select {columns} from {stored_view} where {conditions[table]}"
        return read_rows_of_tenants(_build_canonical_rows_query(table, rows))

    inputs = ResolutionInputs(
        records=read_rows_of_tenants(RECORDS_QUERY),
        tenants=read_rows_of_tenants("select tenant_id, min_confidence from tenants"),
        suppressed=read_rows_of_tenants("from suppressed"),
        overrides=read_rows_of_tenants(OVERRIDES_QUERY),
        ineffective_decisions=read_rows_of_tenants("from ineffective_decisions"),
        previous_identities=read_previous_rows(identity.customer_identities),
        previous_ids=read_previous_rows(identity.profile_ids),
        previous_reviews=read_previous_rows(identity.identity_reviews),
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


def _build_canonical_rows_query(table: Table, rows: str) -> str:
    """Returns a query of stored rows with record ids in their canonical form, one row per key.

    Ids that were stored before they had one then still mean the same records, whose profiles keep their ids.
    """
    columns = _RECORD_ID_COLUMNS.get(table, ())
    if not columns:
        return rows
    lines = ", ".join(f"{build_line_sql(column)} as {column}" for column in columns)
    canonical = ", ".join(f"{build_canonical_id_sql(column)} as {column}" for column in columns)
    key = ", ".join(list_key_columns(table))
    return f"""
        select * replace ({canonical}) from (select * replace ({lines}) from ({rows}))
        qualify row_number() over (partition by {key} order by {columns[-1]}) = 1"""
