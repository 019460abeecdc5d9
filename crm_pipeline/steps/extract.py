"""One extraction of one service: the request, the shrink check, and the changes appended to the lake.

From a database, every row is read once a week and for tenants to which a removed golfer returned, every key once a day,
and otherwise the rows that may have changed. From a folder, every row is read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import duckdb
from sqlalchemy import Table

from crm_pipeline.domain.contact_keys.email_and_name import NORMALISATION_VERSION
from crm_pipeline.domain.ingest.delivery_validation import (
    build_replacement_condition,
    find_shrunken_tables,
    has_lost_every_tenant,
)
from crm_pipeline.domain.ingest.row_validation import parse_rows
from crm_pipeline.resources.lake.lake import NO_CHANGES, ChangeCounts
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.resources.privacy.tombstones import (
    Tombstones,
    end_tombstones,
    exclude_forgotten,
    find_returned_tenants,
    find_tombstones,
    store_forgotten_totals,
)
from crm_pipeline.resources.sources.delivery import DeliveredTable, Delivery, ExtractionRequest, Horizon
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables import list_source_tables
from crm_pipeline.tables.outputs import operations
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service

KEY_SWEEP_INTERVAL = timedelta(hours=24)
"""All keys are read this often, to find deleted rows."""
FULL_READ_INTERVAL = timedelta(days=7)
"""All rows are read this often."""
UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALL_TENANTS = ""
"""The tenant_id in service_snapshots of extractions over all tenants, including rows without a tenant."""


class PastHourError(Exception):
    """A run as of an hour before the last extraction; the message has both hours."""


class ExtractionState(NamedTuple):
    """When all rows (read_whole_at) and all keys (swept_at) were last read, and the horizon of the last extraction.

    For several tenants the earliest of each.
    """

    read_whole_at: datetime
    swept_at: datetime
    horizon: Horizon | None


class Extraction(NamedTuple):
    """The result of an extraction.

    Attributes:
        read_summary: what was read, in words.
        changes: per table the changes appended to the lake.
        undeclared_columns: per table the delivered columns that no declaration has.
        read_rows: per table the number of rows read.
        ignored_rows: per table the number of rows ignored because they have no value; they are not among those read.
        excluded_rows: the number of rows excluded because they are about forgotten people.
    """

    read_summary: str
    changes: dict[str, ChangeCounts]
    undeclared_columns: dict[str, list[str]]
    read_rows: dict[str, int]
    ignored_rows: dict[str, int]
    excluded_rows: int = 0


EMPTY_EXTRACTION = Extraction("nothing", {}, {}, {}, {})


def extract_service(run: RunContext, sources: Sources, service: Service) -> Extraction:
    """Returns what was read of a service and appended to the lake: all tables, or none where the delivery is refused.

    The extraction state is stored last: if a run dies before that, the next run reads the same rows again.

    Raises: SourceError where the service cannot be read or a table shrank too much; PastHourError.
    """
    _validate_as_of(run, service)
    tables, previous_state = list_source_tables(service), find_extraction_state(run, service)
    read_whole_at = previous_state.read_whole_at if previous_state else UNIX_EPOCH
    returned_tenants = find_returned_tenants(run.con, run.lake, run.tenants, read_whole_at)
    request = ExtractionRequest(run.tenants) if returned_tenants else _build_request(run, previous_state)
    tombstones = find_tombstones(run.con, run.lake, service, run.erasure_key)
    with _report_lack_of_memory(run, service):
        delivery = sources.read_snapshot(run.con, service, request)
        run.load_tenants()
        changed_tables = {t: rows for t in tables if _has_changes(run, rows := delivery.tables[t.name])}
        read_rows = {t.name: _count_delivered_rows(run, rows) for t, rows in changed_tables.items()}
        excluded_rows = sum(_load_incoming_rows(run, table, rows, tombstones) for table, rows in changed_tables.items())
        _validate_shrinks(run, service, changed_tables)
        changes = {
            t.name: _append_changes(run, t, changed_tables[t]) if t in changed_tables else NO_CHANGES for t in tables
        }
    store_forgotten_totals(run.con, run.lake, returned_tenants, run.as_of)
    if tombstones and tombstones.has_golfers:
        end_tombstones(run.con, run.lake, run.as_of)
    _store_extraction_state(run, service, _build_extraction_state(run, previous_state, request, delivery))
    undeclared = {
        name: list(rows.undeclared_columns) for name, rows in delivery.tables.items() if rows.undeclared_columns
    }
    ignored_rows = {name: rows.ignored_rows for name, rows in delivery.tables.items() if rows.ignored_rows}
    return Extraction(_format_read_summary(delivery), changes, undeclared, read_rows, ignored_rows, excluded_rows)


@contextmanager
def _report_lack_of_memory(run: RunContext, service: Service) -> Iterator[None]:
    """Turns a lack of memory, or of spill, into an error of this service alone, and frees what its tables take.

    Tables that were appended before stay: the next run reads the service again, as after a run that died.
    """
    try:
        yield
    except (SourceError, duckdb.OutOfMemoryException) as error:
        for table in list_source_tables(service):
            for name in (f"raw_{table.name}", f"keys_{table.name}", _incoming_table_name(table)):
                run.con.execute(f"drop table if exists {name}")
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{service}: CRM_PIPELINE_MEMORY is too little for the tables it delivered") from None


def count_present_rows(run: RunContext, service: Service) -> dict[str, int]:
    """Returns the number of present rows of each table of the service, for the tenants of the run."""
    counts = " union all ".join(
        f"select '{table.name}' as name, rows from ({run.lake.build_counts_query(table, tenants=run.tenants)})"
        for table in list_source_tables(service)
    )
    present_rows = dict(run.con.sql(f"select name, cast(sum(rows) as bigint) from ({counts}) group by name").fetchall())
    return {table.name: present_rows.get(table.name, 0) for table in list_source_tables(service)}


def find_extraction_state(run: RunContext, service: Service) -> ExtractionState | None:
    """Returns what earlier runs read of the service for all of this run's tenants; None if one was never extracted.

    What was read with other normal forms does not count: those rows are read anew.
    """
    current = run.lake.create_current_view(run.con, operations.service_snapshots)
    of_service = f"from {current} where service = '{service}' and normalisation = '{NORMALISATION_VERSION}'"
    covered_tenants = {tenant for (tenant,) in run.con.execute(f"select tenant_id {of_service}").fetchall()}
    # Runs over all tenants covered a new tenant too.
    wanted = {ALL_TENANTS} if run.tenants is None else {t if t in covered_tenants else ALL_TENANTS for t in run.tenants}
    if not wanted or not wanted <= covered_tenants:
        return None
    [(read_whole_at, swept_at, origin, horizon, is_one)] = run.con.execute(f"""
        select min(read_whole_at), min(swept_at), min(origin), min(horizon),
            count(distinct origin) = 1 and count(origin) = count(*)
        {of_service} and {build_tenant_condition(sorted(wanted))}""").fetchall()
    return ExtractionState(read_whole_at, swept_at, Horizon(origin, horizon) if is_one else None)


def _build_request(run: RunContext, previous_state: ExtractionState | None) -> ExtractionRequest:
    if previous_state is None or run.as_of - previous_state.read_whole_at >= FULL_READ_INTERVAL:
        return ExtractionRequest(run.tenants)
    return ExtractionRequest(
        run.tenants, previous_state.horizon, is_sweep=run.as_of - previous_state.swept_at >= KEY_SWEEP_INTERVAL
    )


def _has_changes(run: RunContext, delivered: DeliveredTable) -> bool:
    """Whether the delivery of a table can change the lake. In most hours most tables have nothing new.

    A deleted row without a key is found when all keys are read, like any other.
    """
    return delivered.is_full or bool(
        delivered.key_relation or run.con.execute(f"from {delivered.relation} limit 1").fetchall()
    )


def _count_delivered_rows(run: RunContext, delivered: DeliveredTable) -> int:
    [(rows,)] = run.con.execute(f"select count(*) from {delivered.relation}").fetchall()
    return int(rows)


def _format_read_summary(delivery: Delivery) -> str:
    if all(rows.is_full for rows in delivery.tables.values()):
        return "every row"
    has_keys = any(rows.key_relation for rows in delivery.tables.values())
    return f"rows that may have changed{' and every key' if has_keys else ''}"


def _load_incoming_rows(run: RunContext, table: Table, delivered: DeliveredTable, tombstones: Tombstones | None) -> int:
    """Creates `incoming_<lake name>` and `present_<lake name>`, drops the raw rows; returns how many are excluded."""
    parse_rows(run.con, table, delivered.relation, _incoming_table_name(table))
    run.con.execute(f"drop table {delivered.relation}")
    if table is crm.tenant:
        run.load_tenants(_incoming_table_name(table))
    run.con.execute(f"delete from {_incoming_table_name(table)} where not ({build_tenant_condition(run.tenants)})")
    excluded_rows = exclude_forgotten(run.con, table, _incoming_table_name(table), tombstones) if tombstones else 0
    run.lake.create_current_view(run.con, table, tenants=run.tenants, name=f"present_{to_lake_name(table)}")
    return excluded_rows


def _validate_shrinks(run: RunContext, service: Service, delivered: dict[Table, DeliveredTable]) -> None:
    rows = {table: _incoming_table_name(table) for table, each in delivered.items() if each.is_full}
    keys = {table: each.key_relation for table, each in delivered.items() if not each.is_full and each.key_relation}
    shrunken = dict.fromkeys(find_shrunken_tables(run.con, rows, keys), "more than half of its rows")
    if crm.tenant in rows and run.tenants is None and has_lost_every_tenant(run.con, rows[crm.tenant]):
        shrunken[crm.tenant.name] = "every tenant known so far"
    rejected = {name: loss for name, loss in shrunken.items() if f"{service}.{name}" not in run.accepted_shrinks}
    if rejected:
        losses = ", ".join(f"{name} lost {loss}" for name, loss in rejected.items())
        raise SourceError(
            f"{service}: {losses} and is not believed; if that is right, run once with"
            f" {' '.join(f'--believe {service}.{name}' for name in rejected)}"
        )


def _append_changes(run: RunContext, table: Table, delivered: DeliveredTable) -> ChangeCounts:
    condition = build_replacement_condition(
        run.con, table, _incoming_table_name(table), is_full=delivered.is_full, keys=delivered.key_relation
    )
    changes = run.replace(table, _incoming_table_name(table), run.tenants, condition)
    run.con.execute(f"drop table {_incoming_table_name(table)}")
    return changes


def _incoming_table_name(table: Table) -> str:
    return f"incoming_{to_lake_name(table)}"


def _build_extraction_state(
    run: RunContext, previous_state: ExtractionState | None, request: ExtractionRequest, delivery: Delivery
) -> ExtractionState:
    if previous_state is None or all(rows.is_full for rows in delivery.tables.values()):
        return ExtractionState(run.as_of, run.as_of, delivery.horizon)
    swept_at = run.as_of if request.is_sweep else previous_state.swept_at
    return ExtractionState(previous_state.read_whole_at, swept_at, delivery.horizon)


def _store_extraction_state(run: RunContext, service: Service, state: ExtractionState) -> None:
    """Stores the state and the number of rows per tenant of the run; for a run over all tenants also as ALL_TENANTS."""
    counts = " union all ".join(
        f"({run.lake.build_counts_query(table, tenants=run.tenants)})" for table in list_source_tables(service)
    )
    tenants = run.tenants
    if tenants is None:
        known = run.con.execute("select distinct tenant_id from known_tenants").fetchall()
        tenants = [ALL_TENANTS, *(tenant for (tenant,) in known)]
    origin, xid = state.horizon or (None, None)
    run.con.execute(
        f"""create or replace temp table new_snapshots as
            select tenant_id, '{service}' as service, cast(coalesce(sum(rows), 0) as bigint) as rows,
                $as_of::timestamptz as extracted_at, $swept_at::timestamptz as swept_at,
                $read_whole_at::timestamptz as read_whole_at, $origin::varchar as origin, $xid::bigint as horizon,
                '{NORMALISATION_VERSION}' as normalisation
            from (select unnest($tenants::varchar[]) as tenant_id) left join ({counts}) using (tenant_id)
            group by all""",
        {
            "as_of": run.as_of,
            "swept_at": state.swept_at,
            "read_whole_at": state.read_whole_at,
            "origin": origin,
            "xid": xid,
            "tenants": list(tenants),
        },
    )
    run.replace(operations.service_snapshots, "new_snapshots", run.tenants, f"service = '{service}'")


def _validate_as_of(run: RunContext, service: Service) -> None:
    # service_snapshots too: an extraction without changes leaves no source rows.
    tables = (*list_source_tables(service), operations.service_snapshots)
    hours = [run.lake.find_latest_known_at(run.con, table, tenants=run.tenants) for table in tables]
    newest = max(filter(None, hours), default=None)
    if newest and run.as_of < newest:
        raise PastHourError(
            f"as_of {run.as_of:%Y-%m-%d %H:%M} is before the last extract of {newest:%Y-%m-%d %H:%M};"
            " an earlier hour can only be replayed into another --home"
        )
