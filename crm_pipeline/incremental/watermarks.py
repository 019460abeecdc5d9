"""The refresh plan of an asset: per tenant a full refresh, or an incremental one from the stored watermarks.

A tenant gets a full refresh the first time, once a local day (ages are whole days), when much of it changed, when a
full-refresh trigger changed, and after every change of the code.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Table

from crm_pipeline.domain.churn.parameters import POOLED_TENANT_ID
from crm_pipeline.incremental.refresh_costs import MIN_SHARE, find_full_refresh_share
from crm_pipeline.resources.lake.change_feed import build_changes_query
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline.tables.outputs import operations
from crm_pipeline.tables.projections import to_lake_name

PACKAGE: Final = Path(__file__).parents[1]

WATERMARKS_SQL: Final = """
    create or replace temp table watermarks as
    select tenant_id, worked_at{versions} from {stored} join tenants using (tenant_id)
    where asset = $asset and code = $code and worked_at <= as_of()
        and cast(timezone(timezone, worked_at) as date) = cast(timezone(timezone, as_of()) as date)"""
"""Creates temp table `watermarks`: worked_at and versions of the tenants refreshed on this local day by this code."""


@dataclass(frozen=True)
class RefreshPlan:
    """The lake version of each table an asset reads, how each of its tenants is refreshed, and their row counts."""

    asset: str
    versions: dict[str, int]
    full_refresh_tenants: list[str]
    incremental_tenants: list[str]
    source_rows: dict[str, int]
    changed_rows: dict[str, int]
    """Per tenant the source rows that changed since its watermark; without those that have none."""

    def count_rows(self, tenants: Sequence[str]) -> tuple[int, int]:
        """Returns how many source rows these tenants have, and how many of them changed."""
        return sum(self.source_rows.get(t, 0) for t in tenants), sum(self.changed_rows.get(t, 0) for t in tenants)

    def store_watermarks(self, run: RunContext, tenants: Sequence[str]) -> None:
        """Stores the versions as these tenants' watermarks; called after all else of them has been stored."""
        run.con.execute(
            """create or replace temp table new_watermarks as
            select unnest($tenants::varchar[]) as tenant_id, $asset as asset, $at::timestamptz as worked_at,
                $versions as versions, $code as code""",
            {
                "tenants": list(tenants),
                "asset": self.asset,
                "at": run.as_of,
                "versions": json.dumps(self.versions),
                "code": compute_code_hash(),
            },
        )
        run.replace(operations.worked_inputs, "new_watermarks", tenants, f"asset = '{self.asset}'")


def plan_refresh(
    run: RunContext,
    asset: str,
    reads: Sequence[Table],
    tenants: Sequence[str],
    *,
    full_refresh_triggers: Sequence[Table],
) -> RefreshPlan:
    """Returns which of the loaded tenants get a full refresh, and which an incremental one.

    A change in a table of `full_refresh_triggers`, of the tenant's rows or of those of POOLED_TENANT_ID, is a full
    refresh, and so is a future-dated row of the tenant that has become valid.

    Creates: temp table `watermarks` of the incremental tenants: tenant_id, worked_at (the hour of the last refresh),
        and per table read a column `<lake name>` with the version last read.
    """
    run.define_as_of()
    versions = {to_lake_name(table): run.lake.version(table) for table in (*reads, *full_refresh_triggers)}
    _find_watermarks(run, asset, tenants, list(versions))
    for table in full_refresh_triggers:
        trigger_condition = f"""
            l.tenant_id in (watermarks.tenant_id, '{POOLED_TENANT_ID}')
            and l._version > watermarks.{to_lake_name(table)}"""
        log = run.lake.create_log_view(run.con, table, name="trigger_log")
        run.con.execute(f"delete from watermarks where exists (select 1 from {log} l where {trigger_condition})")
        _exclude_future_dated_triggers(run, table)
    source_rows = run.count_source_rows()
    changed_rows = _count_changed_rows(run, [table for table in reads if table.metadata is source_metadata])
    _exclude_heavily_changed(run, asset, changed_rows, source_rows)
    incremental = {tenant for (tenant,) in run.con.sql("select tenant_id from watermarks").fetchall()}
    full_refresh_tenants = [tenant for tenant in tenants if tenant not in incremental]
    return RefreshPlan(asset, versions, full_refresh_tenants, sorted(incremental), source_rows, changed_rows)


@cache
def compute_code_hash() -> str:
    """Returns 16 hex digits of a hash of the package's sources; another hash is a full refresh."""
    files = sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".sql"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _find_watermarks(run: RunContext, asset: str, tenants: Sequence[str], names: Sequence[str]) -> None:
    stored_view = run.lake.create_current_view(
        run.con, operations.worked_inputs, tenants=tenants, name="stored_watermarks"
    )
    versions = "".join(f", cast(versions ->> '{name}' as bigint) as {name}" for name in names)
    run.con.execute(
        WATERMARKS_SQL.format(versions=versions, stored=stored_view), {"asset": asset, "code": compute_code_hash()}
    )
    unknown_version = " or ".join(f"{name} is null" for name in names)
    run.con.execute(f"delete from watermarks where {unknown_version}")


def _exclude_future_dated_triggers(run: RunContext, table: Table) -> None:
    """Deletes the watermarks of tenants with a row whose recorded time was too far ahead then, and is not any more."""
    present = run.lake.create_current_view(run.con, table, name="trigger_rows")
    for column in (column.key for column in table.columns if column.info.get("recorded")):
        run.con.execute(f"""
            delete from watermarks where exists (
                select 1 from {present} r where r.tenant_id = watermarks.tenant_id
                    and {column} > worked_at + max_clock_skew() and {column} <= as_of() + max_clock_skew())""")


def _exclude_heavily_changed(
    run: RunContext, asset: str, changed_rows: Mapping[str, int], source_rows: Mapping[str, int]
) -> None:
    shares = {tenant: changed / max(source_rows.get(tenant, 0), 1) for tenant, changed in changed_rows.items()}
    # Few hours change enough of any tenant that what was learned of costs can matter.
    if max(shares.values(), default=0.0) > MIN_SHARE:
        full_refresh_share = find_full_refresh_share(run, asset)
        tenants = [tenant for tenant, share in shares.items() if share > full_refresh_share]
        run.con.execute("delete from watermarks where tenant_id in (select unnest($1::varchar[]))", [tenants])


def _count_changed_rows(run: RunContext, tables: Sequence[Table]) -> dict[str, int]:
    changes = " union all ".join(
        f"select tenant_id from ({build_changes_query(run.lake, run.con, table, 'watermarks')})" for table in tables
    )
    return dict(run.con.sql(f"select tenant_id, count(*) from ({changes}) group by all").fetchall())
