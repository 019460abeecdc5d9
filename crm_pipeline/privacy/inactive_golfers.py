"""Removal of inactive casual golfers at clubs that have set a retention period, called by the weekly job.

`domain/privacy/inactivity.py` selects them, and one erasure request, as `forget` makes it, removes them all.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime

import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.contact_keys.person_records import normalise_people
from crm_pipeline.domain.privacy.inactivity import ACTIVITY_TIMES, find_inactive_profiles
from crm_pipeline.privacy.erase import (
    ProgressReporter,
    execute_erasure_request,
    finish_open_requests,
    require_complete,
)
from crm_pipeline.privacy.request import ErasureRequest
from crm_pipeline.privacy.subject import Subject, build_erasure_request, find_subject_records
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.postgres.admin import create_administrator_engine
from crm_pipeline.resources.privacy import schema as privacy_schema
from crm_pipeline.resources.privacy.erasure_key import require_erasure_key
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import Settings
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.outputs import operations
from crm_pipeline.tables.outputs.identity import customer_identities, identity_reviews, profile_ids
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.tables.sources import scl
from crm_pipeline.vocabulary import Service

RETENTION_REASON = "retention"
# Periods end at the oldest snapshot, since a service that could not be read may hold later activity.
_CREATE_RETENTION_PERIODS = f"""
    create or replace temp table retention_periods as
    select tenant_id, casual_golfers_months, min(extracted_at) as seen_until
    from configured_periods join {operations.service_snapshots.name} using (tenant_id)
    group by all having count(*) = {len(Service)}"""


def erase_inactive_golfers(
    settings: Settings, lake: Lake, warehouse: Warehouse, months: Mapping[str, int], report_progress: ProgressReporter
) -> dict[str, int]:
    """Returns how many people of each club were removed, by requests that were open and by retention.

    The caller must hold every tenant.

    Raises:
        SettingError: This process has no erasure key, another than earlier tombstones', or no administrator's rights.
        ErasureOpenError: Something is left; its request stays open.
    """
    administrator, key = create_administrator_engine(settings), require_erasure_key(settings, lake)
    with administrator.begin() as connection:
        privacy_schema.create_privacy_schema(connection, warehouse.url)
    certificates = finish_open_requests(settings, lake, key, administrator, report_progress)
    if months and (request := _build_retention_request(lake, months)):
        request.store(lake)
        certificates += execute_erasure_request(settings, request, key, administrator, report_progress)
    require_complete(certificates)
    counts: Counter[str] = Counter()
    for certificate in certificates:
        counts[certificate["tenant_id"]] += certificate["people"]
    return dict(sorted(counts.items()))


def _build_retention_request(lake: Lake, months: Mapping[str, int]) -> ErasureRequest | None:
    at = datetime.now(UTC)
    with closing(lake.connect()) as con:
        subjects = _find_inactive_subjects(con, RunContext(con, lake, at, RETENTION_REASON, sorted(months)), months)
        if not subjects:
            return None
        # A quarantined member record counts as a membership.
        records_by_subject = find_subject_records(con, lake, subjects)
        seen_until_by_tenant = dict(con.sql("select tenant_id, seen_until from retention_periods").fetchall())
        seen_until = {
            subject: seen_until_by_tenant[subject.tenant_id]
            for subject, records in records_by_subject.items()
            if not any(record.table_name == scl.member.name for record in records)
        }
        if not seen_until:
            return None
        return build_erasure_request(con, lake, seen_until, at=at, asked=None, reason=RETENTION_REASON)


def _find_inactive_subjects(con: DuckDBPyConnection, run: RunContext, months: Mapping[str, int]) -> list[Subject]:
    run.load_tenants()
    run.load_rows([*PERSON_TABLES.values(), scl.payment, *ACTIVITY_TIMES])
    run.define_as_of()
    normalise_people(con)
    output_tables = (customer_profiles, customer_timeline, customer_identities, profile_ids, identity_reviews)
    for table in (*output_tables, operations.service_snapshots):
        run.lake.create_current_view(con, table, tenants=run.tenants)
    run.lake.create_log_view(con, customer_identities, name="link_history")
    configured_periods = pa.table({"tenant_id": list(months), "casual_golfers_months": list(months.values())})
    con.register("configured_periods", configured_periods)
    con.execute(_CREATE_RETENTION_PERIODS)
    return [Subject(*row) for row in find_inactive_profiles(con)]
