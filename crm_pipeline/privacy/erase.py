"""Execution of an erasure request: tombstones, then every place in turn, then the checks; the request is deleted last.

Every step can be repeated. A request stays open until every check has found nothing: if the process is killed, or
something is left, the next `forget` or upkeep goes on with it before anything else. Until then the tombstones keep the
person from coming back, and the stored request still lists what remains.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, NullPool, Table, create_engine, make_url, text

from crm_pipeline.privacy import byte_search
from crm_pipeline.privacy.byte_search import SearchTerms
from crm_pipeline.privacy.certificate import build_certificate
from crm_pipeline.privacy.request import ErasureRequest, read_pending_requests
from crm_pipeline.privacy.subject import create_forgotten_relation
from crm_pipeline.resources.connections import open_lake, open_warehouse
from crm_pipeline.resources.dagster_storage.storage import find_dagster_url
from crm_pipeline.resources.lake.compaction import delete_retired_tables
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.postgres.embedded import start_embedded_postgres
from crm_pipeline.resources.privacy import lake_erasure, warehouse_erasure
from crm_pipeline.resources.privacy import schema as privacy_schema
from crm_pipeline.resources.privacy.tombstones import build_key_id, build_tombstone, store_forgotten_totals
from crm_pipeline.resources.warehouse.bi_limits import end_sessions
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import Settings
from crm_pipeline.steps.identities.atomic_commit import roll_back_partial_commits
from crm_pipeline.tables import LAKE_TABLES
from crm_pipeline.tables.outputs import privacy
from crm_pipeline.tables.projections import to_lake_name

ProgressReporter = Callable[[str], None]
DAGSTER_PLACE_PREFIX = "Dagster's storage: "
SNAPSHOTS_PLACE = "warehouse: sessions that still see what was deleted"


class ErasureOpenError(Exception):
    """Something of people to be forgotten is left and the request stays open; the message says where."""


def execute_erasure_request(
    settings: Settings, request: ErasureRequest, key: str, administrator: Engine, report_progress: ProgressReporter
) -> list[dict[str, Any]]:
    """Returns one certificate per club, after erasing the people everywhere.

    Complete ones are written to the privacy log, and the request is deleted; else it stays open. The caller must hold
    every tenant.
    """
    lake = open_lake(settings)
    report_progress("tombstones")
    _store_tombstones(lake, request, key, administrator)
    _erase_lake_rows(settings, lake, request, report_progress)
    old_snapshots = _erase_warehouse_rows(settings, request, lake, administrator, report_progress)
    _redact_reports(settings, request, lake, report_progress)
    if _find_postgres_folder(settings).exists():
        report_progress("write-ahead log")
        warehouse_erasure.delete_wal_segments(
            _create_embedded_engine(settings, "postgres"), _find_postgres_folder(settings)
        )
    report_progress("checks")
    remaining = _count_remaining_data(settings, lake, request) | {SNAPSHOTS_PLACE: old_snapshots}
    certificates = [build_certificate(request, tenant_id, key, remaining) for tenant_id in request.tenants]
    if not any(remaining.values()):
        report_progress("order")
        _close_request(request, lake, administrator, certificates)
    return certificates


def finish_open_requests(
    settings: Settings, lake: Lake, key: str, administrator: Engine, report_progress: ProgressReporter
) -> list[dict[str, Any]]:
    """Returns the certificates of the requests that were open, after executing them; the caller holds every tenant."""
    return [
        certificate
        for request in read_pending_requests(lake)
        for certificate in execute_erasure_request(settings, request, key, administrator, report_progress)
    ]


def require_complete(certificates: Iterable[Mapping[str, Any]]) -> None:
    """Does nothing where all certificates are complete.

    Raises:
        ErasureOpenError: one is not.
    """
    left = {
        f"{certificate['certificate_id']}: {place['left']:,} in {place['place']}"
        for certificate in certificates
        for place in certificate["places"]
        if place["left"]
    }
    if left:
        raise ErasureOpenError(
            f"something is left, and the next forget or upkeep goes on with it: {'; '.join(sorted(left))}"
        )


def _close_request(
    request: ErasureRequest, lake: Lake, administrator: Engine, certificates: Sequence[dict[str, Any]]
) -> None:
    with administrator.begin() as connection:
        for certificate in certificates:
            privacy_schema.write_log_entry(
                connection,
                "FORGET",
                certificate["tenant_id"],
                subject=request.asked,
                reason=request.reason,
                certificate=certificate,
            )
    request.delete(lake)


def _store_tombstones(lake: Lake, request: ErasureRequest, key: str, administrator: Engine) -> None:
    """Stores what keeps the people out in the warehouse, then in the lake, and the clubs' totals with their money."""
    rows_by_table = _build_tombstone_rows(request, key)
    with administrator.begin() as connection:
        for table, rows in rows_by_table.items():
            names, key_names = [column.name for column in table.columns], ", ".join(c.name for c in table.primary_key)
            if rows:
                # A golfer whom retention removed, who returned and is removed again has tombstones that ended.
                connection.execute(
                    text(f"""insert into {privacy_schema.PRIVACY_SCHEMA}.{table.name} ({", ".join(names)})
                        values ({", ".join(f":{name}" for name in names)})
                        on conflict ({key_names}) do update set
                        {", ".join(f"{name} = excluded.{name}" for name in names)}"""),
                    rows,
                )
    with closing(lake.connect()) as con:
        for table, rows in rows_by_table.items():
            privacy_schema.store_missing_rows(con, lake, table, rows)
        store_forgotten_totals(con, lake, request.tenants, request.requested_at)


def _build_tombstone_rows(request: ErasureRequest, key: str) -> dict[Table, list[dict[str, Any]]]:
    """Returns the rows that the request adds to `tombstones` and `forgotten_sums`."""
    tombstone_rows, revenue_rows = [], []
    for certificate_id, person in request.list_by_certificate():
        person_columns = {"tenant_id": person.tenant_id, "certificate_id": certificate_id}
        forgotten_at = datetime.fromisoformat(person.seen_until)
        shared_columns = person_columns | {"key_id": build_key_id(key), "forgotten_at": forgotten_at}
        tombstone_rows += [shared_columns | {"hash": build_tombstone(key, record)} for record in person.records]
        revenue_rows += [person_columns | revenue._asdict() for revenue in person.yearly_revenue]
    return {privacy.tombstones: tombstone_rows, privacy.forgotten_sums: revenue_rows}


def _erase_lake_rows(
    settings: Settings, lake: Lake, request: ErasureRequest, report_progress: ProgressReporter
) -> None:
    with closing(lake.connect()) as con:
        run = RunContext(con, lake, request.requested_at, request.certificate_id, request.tenants)
        roll_back_partial_commits(run, request.tenants)
        delete_retired_tables(lake)
        create_forgotten_relation(con, [*request.records, *request.dependent_rows])
        for table in LAKE_TABLES:
            report_progress(f"lake: {to_lake_name(table)}")
            request.add_removed_rows(lake, f"lake: {to_lake_name(table)}", lake_erasure.erase_rows(con, lake, table))
        # The newest versions of a table's rows may be gone, so the committed versions are stored again.
        roll_back_partial_commits(run, request.tenants)
    request.add_removed_rows(lake, "files of killed processes", byte_search.delete_leftover_files(settings.home))


def _erase_warehouse_rows(
    settings: Settings, request: ErasureRequest, lake: Lake, administrator: Engine, report_progress: ProgressReporter
) -> int:
    """Returns how many sessions see the deleted rows still, so that the rewritten tables have them."""
    warehouse = open_warehouse(settings)
    with administrator.begin() as connection:
        if ended := end_sessions(connection, request.tenants):
            report_progress(f"warehouse: {ended} sessions of these clubs' logins were ended")
    report_progress("warehouse: rows")
    records, totals = [*request.records, *request.dependent_rows], _read_totals(lake, request.tenants)
    deleted = warehouse_erasure.delete_subject_rows(warehouse, request.tenants, records, totals)
    for table, rows in deleted.items():
        request.add_removed_rows(lake, f"warehouse: crm.{table}", rows)
    report_progress("warehouse: files")
    old_snapshots = warehouse_erasure.count_old_snapshots(administrator)
    warehouse_erasure.rewrite_tables(warehouse.engine(), warehouse_erasure.list_tenant_tables(request.tenants))
    warehouse_erasure.rewrite_statistics(administrator)
    return old_snapshots


def _read_totals(lake: Lake, tenants: Sequence[str]) -> list[dict[str, Any]]:
    with closing(lake.connect()) as con:
        totals = lake.create_current_view(con, privacy.forgotten_totals, tenants=tenants)
        columns = ", ".join(column.name for column in privacy.forgotten_totals.columns)
        query = f"select {columns}, _row_hash as row_hash from {totals}"
        rows: list[dict[str, Any]] = con.sql(query).to_arrow_table().to_pylist()
        return rows


def _redact_reports(settings: Settings, request: ErasureRequest, lake: Lake, report_progress: ProgressReporter) -> None:
    """Redacts Dagster's storage and the files under the home folder, where no personal data is expected."""
    report_progress("Dagster's storage")
    engine = create_engine(find_dagster_url(settings), poolclass=NullPool)
    pattern, mentions = _find_dagster_mentions(engine, request)
    for (table, _), rows in mentions.items():
        request.add_removed_rows(lake, f"{DAGSTER_PLACE_PREFIX}{table}", rows)
    warehouse_erasure.redact_text_matches(engine, list(mentions), pattern)
    # Includes tables that a killed process redacted and did not rewrite.
    changed_tables = [
        place.removeprefix(DAGSTER_PLACE_PREFIX) for place in request.removed if place.startswith(DAGSTER_PLACE_PREFIX)
    ]
    warehouse_erasure.rewrite_tables(engine, [f'"{table}"' for table in changed_tables])
    if changed_tables and not settings.dagster_pg_url:
        warehouse_erasure.rewrite_statistics(_create_embedded_engine(settings, "dagster"))
    report_progress("reports and logs")
    files = byte_search.redact_files(_list_report_files(settings), byte_search.build_search_terms(request.values))
    request.add_removed_rows(lake, "reports and logs under the home folder", files)


def _find_dagster_mentions(engine: Engine, request: ErasureRequest) -> tuple[str, dict[tuple[str, str], int]]:
    """Returns a pattern of the values and records in Dagster's storage, and the rows it matches by table and column.

    Records are searched for as checks name them: tenant, service and record id.
    """
    record_mentions = [f"{r.tenant_id} {r.service} {r.record_id}" for r in request.records]
    search_terms = SearchTerms(value.lower().encode() for value in [*request.values, *record_mentions])
    matches = set().union(*map(search_terms.find_in, warehouse_erasure.read_dagster_texts(engine)))
    pattern = "(" + "|".join(sorted(re.escape(match.decode()) for match in matches)) + ")(?![0-9A-Za-z_-])"
    return pattern, warehouse_erasure.count_text_matches(engine, pattern) if matches else {}


def _count_remaining_data(settings: Settings, lake: Lake, request: ErasureRequest) -> dict[str, int]:
    """Returns the rows or files of these people that each place still holds, searched for again."""
    records = [*request.records, *request.dependent_rows]
    with closing(lake.connect()) as con:
        create_forgotten_relation(con, records)
        remaining = {
            f"lake: {to_lake_name(table)}": lake_erasure.count_remaining_rows(con, lake, table) for table in LAKE_TABLES
        }
    published = warehouse_erasure.count_subject_rows(open_warehouse(settings), request.tenants, records)
    remaining |= {f"warehouse: crm.{table}": rows for table, rows in published.items()}
    engine = create_engine(find_dagster_url(settings), poolclass=NullPool)
    remaining[f"{DAGSTER_PLACE_PREFIX}every table"] = sum(_find_dagster_mentions(engine, request)[1].values())
    return remaining | _count_matching_files(settings, lake, byte_search.build_search_terms(request.values))


def _count_matching_files(settings: Settings, lake: Lake, search_terms: SearchTerms) -> dict[str, int]:
    """Returns the number of files that contain a search term, by place."""
    logs = [file for file in byte_search.list_files(Path(lake.url)) if "_delta_log" in file.parts]
    files: dict[str, Iterable[Path]] = {
        "lake: transaction logs, files": logs,
        "reports and logs under the home folder": _list_report_files(settings),
    }
    if _find_postgres_folder(settings).exists():
        files["files of the embedded server"] = byte_search.list_files(_find_postgres_folder(settings))
    return {place: len(list(byte_search.find_matching_files(listed, search_terms))) for place, listed in files.items()}


def _list_report_files(settings: Settings) -> list[Path]:
    excluded_folders = [_find_postgres_folder(settings), Path(settings.lake_url), settings.home / "spill"]
    return list(byte_search.list_files(settings.home, excluded_folders=excluded_folders))


def _find_postgres_folder(settings: Settings) -> Path:
    return settings.home / "postgres" / "data"


def _create_embedded_engine(settings: Settings, database: str) -> Engine:
    url = make_url(start_embedded_postgres(settings.home).url("postgres")).set(database=database)
    return create_engine(url, poolclass=NullPool)
