"""One extraction of one service: what has to be read, whether it is believed, and what of it is new in the lake.

Every row once a week and where a golfer came again whom retention removed, every key once a day, and in between what
may have changed; a folder always whole. The asset that tells Dagster of it is in `snapshots`.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Table

from crm_pipeline.domain.ingest.delivery_validation import shrunken_tables, spoken_of
from crm_pipeline.domain.ingest.row_validation import read_rows
from crm_pipeline.resources.lake.lake import UNCHANGED, Changes
from crm_pipeline.resources.lake.rows import tenant_filter
from crm_pipeline.resources.privacy.tombstones import (
    Stones,
    end_tombstones,
    find_stones,
    keep_out,
    returned_since,
    total_up,
)
from crm_pipeline.resources.sources.delivery import Delivery, Horizon, Request, Rows
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.run_context import Step
from crm_pipeline.tables import source_tables
from crm_pipeline.tables.outputs import operations
from crm_pipeline.tables.projections import lake_name
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service

SWEEP_AFTER = timedelta(hours=24)
READ_WHOLE_AFTER = timedelta(days=7)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
ALL_TENANTS = ""
"""Whom service_snapshots names where a run covered everything, rows of no tenant included."""


class PastHourError(Exception):
    """A run as of an hour that was extracted past already; the message says both hours."""


class Coverage(NamedTuple):
    """When all rows and all keys were seen last, and how far; for several tenants the least of each."""

    read_whole_at: datetime
    swept_at: datetime
    horizon: Horizon | None


class Extraction(NamedTuple):
    """What was read, in words, what of it was appended per table, the columns met that nobody declared.

    And how many rows were kept out, because they are about somebody who was forgotten.
    """

    read: str
    changes: dict[str, Changes]
    undeclared: dict[str, list[str]]
    kept_out: int = 0


NOTHING = Extraction("nothing", {}, {})


def extract(this: Step, sources: Sources, service: Service) -> Extraction:
    """Read a service and append what changed; all of it or nothing. Raises SourceError or PastHourError.

    What was covered is kept last: after a run that dies before, the next one reads again what that had read.
    """
    _refuse_the_past(this, service)
    tables, before = source_tables(service), last_coverage(this, service)
    again = returned_since(this.con, this.lake, this.tenants, before.read_whole_at if before else LONG_AGO)
    request = Request(this.tenants) if again else _request(this, before)
    stones = find_stones(this.con, this.lake, service, this.erasure_key)
    delivery = sources.snapshot(this.con, service, request)
    this.load_tenants()
    told = {t: rows for t in tables if _tells(this, rows := delivery.tables[t.name])}
    kept_out = sum(_read(this, table, rows, stones) for table, rows in told.items())
    _believe(this, service, told)
    changes = {t.name: _append(this, t, told[t]) if t in told else UNCHANGED for t in tables}
    total_up(this.con, this.lake, again, this.as_of)
    if stones and stones.has_golfers:
        end_tombstones(this.con, this.lake, this.as_of)
    _keep_coverage(this, service, _covered(this, before, request, delivery))
    undeclared = {name: list(rows.undeclared) for name, rows in delivery.tables.items() if rows.undeclared}
    return Extraction(_words(delivery), changes, undeclared, kept_out)


def last_coverage(this: Step, service: Service) -> Coverage | None:
    """What earlier runs saw of the service for all of this run's tenants; None where one was never covered."""
    current = this.lake.current(this.con, operations.service_snapshots)
    of_service = f"from {current} where service = '{service}'"
    covered = {tenant for (tenant,) in this.con.execute(f"select tenant_id {of_service}").fetchall()}
    # A tenant that is new was covered by the runs over all.
    wanted = {ALL_TENANTS} if this.tenants is None else {t if t in covered else ALL_TENANTS for t in this.tenants}
    if not wanted or not wanted <= covered:
        return None
    [(read_whole_at, swept_at, origin, horizon, is_one)] = this.con.execute(f"""
        select min(read_whole_at), min(swept_at), min(origin), min(horizon),
            count(distinct origin) = 1 and count(origin) = count(*)
        {of_service} and {tenant_filter(sorted(wanted))}""").fetchall()
    return Coverage(read_whole_at, swept_at, Horizon(origin, horizon) if is_one else None)


def _request(this: Step, before: Coverage | None) -> Request:
    if before is None or this.as_of - before.read_whole_at >= READ_WHOLE_AFTER:
        return Request(this.tenants)
    return Request(this.tenants, before.horizon, is_sweep=this.as_of - before.swept_at >= SWEEP_AFTER)


def _tells(this: Step, delivered: Rows) -> bool:
    """Whether anything can follow from what was delivered of a table; in most hours most have nothing new.

    The last row without a key, once deleted, shows when the keys are swept, as any other does.
    """
    return delivered.is_whole or bool(delivered.keys or this.con.execute(f"from {delivered.rows} limit 1").fetchall())


def _words(delivery: Delivery) -> str:
    if all(rows.is_whole for rows in delivery.tables.values()):
        return "every row"
    has_keys = any(rows.keys for rows in delivery.tables.values())
    return f"rows that may have changed{' and every key' if has_keys else ''}"


def _read(this: Step, table: Table, delivered: Rows, stones: Stones | None) -> int:
    """Create `incoming_` and `present_` of the table, give back what raw rows took; return how many are kept out."""
    read_rows(this.con, table, delivered.rows, _incoming(table))
    this.con.execute(f"drop table {delivered.rows}")
    if table is crm.tenant:
        this.load_tenants(_incoming(table))
    this.con.execute(f"delete from {_incoming(table)} where not ({tenant_filter(this.tenants)})")
    kept_out = keep_out(this.con, table, _incoming(table), stones) if stones else 0
    this.lake.current(this.con, table, tenants=this.tenants, name=f"present_{lake_name(table)}")
    return kept_out


def _believe(this: Step, service: Service, delivered: dict[Table, Rows]) -> None:
    counted = {t: _incoming(t) if rows.is_whole else rows.keys for t, rows in delivered.items()}
    shrunken = shrunken_tables(this.con, {table: relation for table, relation in counted.items() if relation})
    if doubted := [name for name in shrunken if f"{service}.{name}" not in this.believed]:
        raise SourceError(
            f"{service}: {', '.join(doubted)} lost more than half of its rows and is not believed;"
            f" if that is right, run once with --believe {service}.{doubted[0]}"
        )


def _append(this: Step, table: Table, delivered: Rows) -> Changes:
    scope = spoken_of(this.con, table, _incoming(table), is_whole=delivered.is_whole, keys=delivered.keys)
    changes = this.replace(table, _incoming(table), this.tenants, scope)
    this.con.execute(f"drop table {_incoming(table)}")
    return changes


def _incoming(table: Table) -> str:
    return f"incoming_{lake_name(table)}"


def _covered(this: Step, before: Coverage | None, request: Request, delivery: Delivery) -> Coverage:
    if before is None or all(rows.is_whole for rows in delivery.tables.values()):
        return Coverage(this.as_of, this.as_of, delivery.horizon)
    return Coverage(before.read_whole_at, this.as_of if request.is_sweep else before.swept_at, delivery.horizon)


def _keep_coverage(this: Step, service: Service, covered: Coverage) -> None:
    """Note for each of the run's tenants, and for all where it was all, what was seen and how many rows there are."""
    counts = " union all ".join(
        f"({this.lake.counts(table, tenants=this.tenants)})" for table in source_tables(service)
    )
    tenants = this.tenants
    if tenants is None:
        known = this.con.execute("select distinct tenant_id from known_tenants").fetchall()
        tenants = [ALL_TENANTS, *(tenant for (tenant,) in known)]
    origin, xid = covered.horizon or (None, None)
    this.con.execute(
        f"""create or replace temp table covered as
            select tenant_id, '{service}' as service, cast(coalesce(sum(rows), 0) as bigint) as rows,
                $as_of::timestamptz as extracted_at, $swept_at::timestamptz as swept_at,
                $read_whole_at::timestamptz as read_whole_at, $origin::varchar as origin, $xid::bigint as horizon
            from (select unnest($tenants::varchar[]) as tenant_id) left join ({counts}) using (tenant_id)
            group by all""",
        {
            "as_of": this.as_of,
            "swept_at": covered.swept_at,
            "read_whole_at": covered.read_whole_at,
            "origin": origin,
            "xid": xid,
            "tenants": list(tenants),
        },
    )
    this.replace(operations.service_snapshots, "covered", this.tenants, f"service = '{service}'")


def _refuse_the_past(this: Step, service: Service) -> None:
    # Rows alone would not do: an extract that found nothing new leaves none.
    tables = (*source_tables(service), operations.service_snapshots)
    hours = [this.lake.latest(this.con, table, tenants=this.tenants) for table in tables]
    newest = max(filter(None, hours), default=None)
    if newest and this.as_of < newest:
        raise PastHourError(
            f"as_of {this.as_of:%Y-%m-%d %H:%M} is before the last extract of {newest:%Y-%m-%d %H:%M};"
            " an earlier hour can only be replayed into another --home"
        )
