"""The stored person records: validated and normalised once per change, and read by every model that needs people."""

from collections.abc import Sequence
from typing import Final

from crm_pipeline.domain.contact_keys.person_records import (
    create_people,
    normalise_records,
    select_entered_records,
)
from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.outputs.identity import RECORD_KEY, person_records

IS_DIRTY_RECORD: Final = f"({RECORD_KEY}) in (select (tenant_id, service, record_id) from dirty_records)"


def store_person_records(run: RunContext, tenants: Sequence[str], condition: str = "true") -> ChangeCounts:
    """Makes person_records where `condition` holds equal to the loaded valid rows; normalises only what has changed.

    Reads: what `select_entered_records` reads.
    """
    select_entered_records(run.con)
    stored = run.lake.create_current_view(run.con, person_records, tenants=tenants, name="stored_person_records")
    run.con.execute(f"""
        create or replace temp table changed_inputs as
        select {RECORD_KEY} from (select {RECORD_KEY}, input_hash from entered_records) as entered
        full join (select {RECORD_KEY}, input_hash from {stored} where {condition}) as stored using ({RECORD_KEY})
        where entered.input_hash is distinct from stored.input_hash""")
    normalise_records(run.con, f"entered_records semi join changed_inputs using ({RECORD_KEY})", "new_person_records")
    return run.replace(
        person_records, "new_person_records", tenants, f"({RECORD_KEY}) in (select ({RECORD_KEY}) from changed_inputs)"
    )


def load_people(run: RunContext, tenants: Sequence[str]) -> None:
    """Creates temp table `people`: the stored records of these tenants; in an incremental batch the required ones.

    Reads: `required_records`, in an incremental batch; what `select_entered_records` reads, of tenants without stored
        records, which an older release has left.
    """
    people = run.lake.create_current_view(run.con, person_records, tenants=tenants)
    stored_tenants = run.con.sql(
        f"select tenant_id from ({run.lake.build_counts_query(person_records, tenants=tenants)})"
    )
    if unstored_tenants := set(tenants) - {tenant for (tenant,) in stored_tenants.fetchall()}:
        select_entered_records(run.con)
        unstored = f"(from entered_records where {build_tenant_condition(sorted(unstored_tenants))})"
        normalise_records(run.con, unstored, "unstored_person_records")
        people = f"(from {people} union all by name from unstored_person_records)"
    required = (
        f"semi join (select * from required_records) r (tenant_id, service, service_record_id) using ({RECORD_KEY})"
    )
    create_people(run.con, f"{people} {required}" if run.only_required else people)
