"""One extraction of one service: what has to be read, whether it is accepted, and what of it is new in the lake.

Every row once a week and where a golfer came again whom retention removed, every key once a day, and in between what
may have changed; a folder always whole. The asset that tells Dagster of it is in `snapshots`.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Table

from crm_pipeline.domain.ingest.delivery_validation import build_replacement_condition, find_shrunken_tables
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
FULL_READ_INTERVAL = timedelta(days=7)
UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALL_TENANTS = ""
"""Whom service_snapshots names where a run covered everything, rows of no tenant included."""


class PastHourError(Exception):
    """A run as of an hour that was extracted past already; the message says both hours."""


class ExtractionState(NamedTuple):
    """When all rows and all keys were seen last, and how far; for several tenants the least of each."""

    read_whole_at: datetime
    swept_at: datetime
    horizon: Horizon | None


class Extraction(NamedTuple):
    """What was read, in words, what of it was appended per table, the columns met that nobody declared.

    And how many rows were kept out, because they are about somebody who was forgotten.
    """

    read: str
    changes: dict[str, ChangeCounts]
    undeclared: dict[str, list[str]]
    kept_out: int = 0


EMPTY_EXTRACTION = Extraction("nothing", {}, {})


def extract_service(run: RunContext, sources: Sources, service: Service) -> Extraction:
    """Read a service and append what changed; all of it or nothing. Raises SourceError or PastHourError.

    What was covered is kept last: after a run that dies before, the next one reads again what that had read.
    """
    _validate_as_of(run, service)
    tables, before = list_source_tables(service), find_extraction_state(run, service)
    again = find_returned_tenants(run.con, run.lake, run.tenants, before.read_whole_at if before else UNIX_EPOCH)
    request = ExtractionRequest(run.tenants) if again else _build_request(run, before)
    stones = find_tombstones(run.con, run.lake, service, run.erasure_key)
    delivery = sources.snapshot(run.con, service, request)
    run.load_tenants()
    told = {t: rows for t in tables if _has_changes(run, rows := delivery.tables[t.name])}
    kept_out = sum(_load_incoming_rows(run, table, rows, stones) for table, rows in told.items())
    _validate_shrinks(run, service, told)
    changes = {t.name: _append_changes(run, t, told[t]) if t in told else NO_CHANGES for t in tables}
    store_forgotten_totals(run.con, run.lake, again, run.as_of)
    if stones and stones.has_golfers:
        end_tombstones(run.con, run.lake, run.as_of)
    _store_extraction_state(run, service, _build_extraction_state(run, before, request, delivery))
    undeclared = {name: list(rows.undeclared) for name, rows in delivery.tables.items() if rows.undeclared}
    return Extraction(_format_read_summary(delivery), changes, undeclared, kept_out)


def find_extraction_state(run: RunContext, service: Service) -> ExtractionState | None:
    """What earlier runs saw of the service for all of this run's tenants; None where one was never covered."""
    current = run.lake.current(run.con, operations.service_snapshots)
    of_service = f"from {current} where service = '{service}'"
    covered = {tenant for (tenant,) in run.con.execute(f"select tenant_id {of_service}").fetchall()}
    # A tenant that is new was covered by the runs over all.
    wanted = {ALL_TENANTS} if run.tenants is None else {t if t in covered else ALL_TENANTS for t in run.tenants}
    if not wanted or not wanted <= covered:
        return None
    [(read_whole_at, swept_at, origin, horizon, is_one)] = run.con.execute(f"""
        select min(read_whole_at), min(swept_at), min(origin), min(horizon),
            count(distinct origin) = 1 and count(origin) = count(*)
        {of_service} and {build_tenant_condition(sorted(wanted))}""").fetchall()
    return ExtractionState(read_whole_at, swept_at, Horizon(origin, horizon) if is_one else None)


def _build_request(run: RunContext, before: ExtractionState | None) -> ExtractionRequest:
    if before is None or run.as_of - before.read_whole_at >= FULL_READ_INTERVAL:
        return ExtractionRequest(run.tenants)
    return ExtractionRequest(run.tenants, before.horizon, is_sweep=run.as_of - before.swept_at >= KEY_SWEEP_INTERVAL)


def _has_changes(run: RunContext, delivered: DeliveredTable) -> bool:
    """Whether anything can follow from what was delivered of a table; in most hours most have nothing new.

    The last row without a key, once deleted, shows when the keys are swept, as any other does.
    """
    return delivered.is_whole or bool(delivered.keys or run.con.execute(f"from {delivered.rows} limit 1").fetchall())


def _format_read_summary(delivery: Delivery) -> str:
    if all(rows.is_whole for rows in delivery.tables.values()):
        return "every row"
    has_keys = any(rows.keys for rows in delivery.tables.values())
    return f"rows that may have changed{' and every key' if has_keys else ''}"


def _load_incoming_rows(run: RunContext, table: Table, delivered: DeliveredTable, stones: Tombstones | None) -> int:
    """Create `incoming_` and `present_` of the table, give back what raw rows took; return how many are kept out."""
    parse_rows(run.con, table, delivered.rows, _incoming_table_name(table))
    run.con.execute(f"drop table {delivered.rows}")
    if table is crm.tenant:
        run.load_tenants(_incoming_table_name(table))
    run.con.execute(f"delete from {_incoming_table_name(table)} where not ({build_tenant_condition(run.tenants)})")
    kept_out = exclude_forgotten(run.con, table, _incoming_table_name(table), stones) if stones else 0
    run.lake.current(run.con, table, tenants=run.tenants, name=f"present_{to_lake_name(table)}")
    return kept_out


def _validate_shrinks(run: RunContext, service: Service, delivered: dict[Table, DeliveredTable]) -> None:
    counted = {t: _incoming_table_name(t) if rows.is_whole else rows.keys for t, rows in delivered.items()}
    shrunken = find_shrunken_tables(run.con, {table: relation for table, relation in counted.items() if relation})
    if doubted := [name for name in shrunken if f"{service}.{name}" not in run.accepted_shrinks]:
        raise SourceError(
            f"{service}: {', '.join(doubted)} lost more than half of its rows and is not believed;"
            f" if that is right, run once with --believe {service}.{doubted[0]}"
        )


def _append_changes(run: RunContext, table: Table, delivered: DeliveredTable) -> ChangeCounts:
    scope = build_replacement_condition(
        run.con, table, _incoming_table_name(table), is_whole=delivered.is_whole, keys=delivered.keys
    )
    changes = run.replace(table, _incoming_table_name(table), run.tenants, scope)
    run.con.execute(f"drop table {_incoming_table_name(table)}")
    return changes


def _incoming_table_name(table: Table) -> str:
    return f"incoming_{to_lake_name(table)}"


def _build_extraction_state(
    run: RunContext, before: ExtractionState | None, request: ExtractionRequest, delivery: Delivery
) -> ExtractionState:
    if before is None or all(rows.is_whole for rows in delivery.tables.values()):
        return ExtractionState(run.as_of, run.as_of, delivery.horizon)
    return ExtractionState(before.read_whole_at, run.as_of if request.is_sweep else before.swept_at, delivery.horizon)


def _store_extraction_state(run: RunContext, service: Service, covered: ExtractionState) -> None:
    """Note for each of the run's tenants, and for all where it was all, what was seen and how many rows there are."""
    counts = " union all ".join(
        f"({run.lake.counts(table, tenants=run.tenants)})" for table in list_source_tables(service)
    )
    tenants = run.tenants
    if tenants is None:
        known = run.con.execute("select distinct tenant_id from known_tenants").fetchall()
        tenants = [ALL_TENANTS, *(tenant for (tenant,) in known)]
    origin, xid = covered.horizon or (None, None)
    run.con.execute(
        f"""create or replace temp table covered as
            select tenant_id, '{service}' as service, cast(coalesce(sum(rows), 0) as bigint) as rows,
                $as_of::timestamptz as extracted_at, $swept_at::timestamptz as swept_at,
                $read_whole_at::timestamptz as read_whole_at, $origin::varchar as origin, $xid::bigint as horizon
            from (select unnest($tenants::varchar[]) as tenant_id) left join ({counts}) using (tenant_id)
            group by all""",
        {
            "as_of": run.as_of,
            "swept_at": covered.swept_at,
            "read_whole_at": covered.read_whole_at,
            "origin": origin,
            "xid": xid,
            "tenants": list(tenants),
        },
    )
    run.replace(operations.service_snapshots, "covered", run.tenants, f"service = '{service}'")


def _validate_as_of(run: RunContext, service: Service) -> None:
    # Rows alone would not do: an extract that found nothing new leaves none.
    tables = (*list_source_tables(service), operations.service_snapshots)
    hours = [run.lake.latest(run.con, table, tenants=run.tenants) for table in tables]
    newest = max(filter(None, hours), default=None)
    if newest and run.as_of < newest:
        raise PastHourError(
            f"as_of {run.as_of:%Y-%m-%d %H:%M} is before the last extract of {newest:%Y-%m-%d %H:%M};"
            " an earlier hour can only be replayed into another --home"
        )
