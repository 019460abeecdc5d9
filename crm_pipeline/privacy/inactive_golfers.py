"""Removing casual golfers who no longer come, where a club has said for how long they are kept: the weekly job's part.

Who is one is said in `domain/inactive`; whatever `forget` does is done for all of them in one go.
"""

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime

import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.contact_keys.person_records import normalise_people
from crm_pipeline.domain.privacy.inactivity import ACTIVITY_TIMES, find_inactive_profiles
from crm_pipeline.privacy.erase import ProgressReporter, execute_erasure_request
from crm_pipeline.privacy.request import ErasureRequest, read_pending_requests
from crm_pipeline.privacy.subject import Subject, build_erasure_request, find_subject_records
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.postgres.admin import create_administrator_engine
from crm_pipeline.resources.privacy import schema
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import SettingError, Settings
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.outputs import operations
from crm_pipeline.tables.outputs.identity import customer_identities, identity_reviews, profile_ids
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.tables.sources import scl
from crm_pipeline.vocabulary import Service

RETENTION_REASON = "retention"
# Of a service that could not be read for a while nobody is judged by what it had not told yet.
_CREATE_RETENTION_PERIODS = f"""
    create or replace temp table retention_periods as
    select tenant_id, casual_golfers_months, min(extracted_at) as seen_until
    from asked_for join {operations.service_snapshots.name} using (tenant_id)
    group by all having count(*) = {len(Service)}"""


def erase_inactive_golfers(
    settings: Settings, lake: Lake, warehouse: Warehouse, months: Mapping[str, int], say: ProgressReporter
) -> dict[str, int]:
    """Finish what was begun, then remove who is due; return how many of each club. Every tenant must be held.

    Raises SettingError where this process may not do what `forget` does.
    """
    administrator, key = create_administrator_engine(settings), settings.erasure_key
    if key is None:
        raise SettingError("ERASURE_KEY is not set")
    with administrator.begin() as connection:
        schema.create_privacy_schema(connection, warehouse.url)
    orders = list(read_pending_requests(lake))
    for order in orders:
        execute_erasure_request(settings, order, key, administrator, say)
    if due := _build_retention_request(lake, months):
        due.keep(lake)
        execute_erasure_request(settings, due, key, administrator, say)
        orders.append(due)
    people = [person.tenant_id for order in orders for person in order.people]
    return {tenant: people.count(tenant) for tenant in sorted(set(people))}


def _build_retention_request(lake: Lake, months: Mapping[str, int]) -> ErasureRequest | None:
    at = datetime.now(UTC)
    with closing(lake.connect()) as con:
        subjects = _find_inactive_subjects(con, RunContext(con, lake, at, RETENTION_REASON, sorted(months)), months)
        if not subjects:
            return None
        # Whoever is a member in a record that was set aside is one.
        found = find_subject_records(con, lake, subjects)
        seen = dict(con.sql("select tenant_id, seen_until from retention_periods").fetchall())
        due = {
            subject: seen[subject.tenant_id]
            for subject, records in found.items()
            if not any(record.table_name == scl.member.name for record in records)
        }
        return build_erasure_request(con, lake, due, at=at, asked=None, reason=RETENTION_REASON) if due else None


def _find_inactive_subjects(con: DuckDBPyConnection, step: RunContext, months: Mapping[str, int]) -> list[Subject]:
    step.load_tenants()
    step.load_rows([*PERSON_TABLES.values(), scl.payment, *ACTIVITY_TIMES])
    step.define_as_of()
    normalise_people(con)
    concluded = (customer_profiles, customer_timeline, customer_identities, profile_ids, identity_reviews)
    for table in (*concluded, operations.service_snapshots):
        step.lake.current(con, table, tenants=step.tenants)
    step.lake.log(con, customer_identities, name="link_history")
    asked_for = pa.table({"tenant_id": list(months), "casual_golfers_months": list(months.values())})
    con.register("asked_for", asked_for)
    con.execute(_CREATE_RETENTION_PERIODS)
    return [Subject(*found) for found in find_inactive_profiles(con)]
