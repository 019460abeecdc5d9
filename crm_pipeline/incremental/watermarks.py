"""What an asset was last computed from, tenant by tenant: who can be brought up to date by what changed since.

A tenant is computed whole at first, once a local day (ages are whole days), when much of it changed, whenever a table
changed that decides about all of its rows, and after every change of the code. Which rows changed, and whom they touch,
is not found here.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Table

from crm_pipeline.domain.churn.parameters import POOLED_TENANT_ID
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline.tables.outputs import operations
from crm_pipeline.tables.projections import to_lake_name

PACKAGE: Final = Path(__file__).parents[1]
FULL_REFRESH_SHARE: Final = 0.02
"""The share of a tenant's source rows from which on finding out whom they touch takes longer than everything anew."""
WATERMARKS_SQL: Final = """
    create or replace temp table noted as
    select tenant_id, worked_at{versions} from {kept} join tenants using (tenant_id)
    where asset = $asset and code = $code and worked_at <= as_of()
        and cast(timezone(timezone, worked_at) as date) = cast(timezone(timezone, as_of()) as date)"""


@dataclass(frozen=True)
class RefreshPlan:
    """What an asset reads, each table in the version it has now, and who is computed how from it."""

    asset: str
    versions: dict[str, int]
    full_refresh_tenants: list[str]
    incremental_tenants: list[str]

    def store_watermarks(self, run: RunContext) -> None:
        """Keep that the asset is now computed from these versions; comes after everything else it keeps."""
        tenants = [*self.full_refresh_tenants, *self.incremental_tenants]
        run.con.execute(
            """create or replace temp table worked as
            select unnest($tenants::varchar[]) as tenant_id, $asset as asset, $at::timestamptz as worked_at,
                $versions as versions, $code as code""",
            {
                "tenants": tenants,
                "asset": self.asset,
                "at": run.as_of,
                "versions": json.dumps(self.versions),
                "code": compute_code_hash(),
            },
        )
        run.replace(operations.worked_inputs, "worked", tenants, f"asset = '{self.asset}'")


def plan_refresh(
    run: RunContext,
    asset: str,
    reads: Sequence[Table],
    tenants: Sequence[str],
    *,
    full_refresh_triggers: Sequence[Table],
) -> RefreshPlan:
    """Tell who of the loaded tenants is computed whole, and who by what changed: these are in temp table `noted`.

    It has tenant_id, worked_at and, called as each table of `reads` is in the lake, the version last read. Of the
    `full_refresh_triggers` tables any change, of the tenant's rows or of those that speak of all, asks for everything.
    """
    run.define_as_of()
    versions = {to_lake_name(table): run.lake.version(table) for table in (*reads, *full_refresh_triggers)}
    _find_watermarks(run, asset, tenants, list(versions))
    for table in full_refresh_triggers:
        theirs = f"l.tenant_id in (noted.tenant_id, '{POOLED_TENANT_ID}') and l._version > noted.{to_lake_name(table)}"
        log = run.lake.log(run.con, table, name="decisive_log")
        run.con.execute(f"delete from noted where exists (select 1 from {log} l where {theirs})")
    _exclude_heavily_changed(run, [table for table in reads if table.metadata is source_metadata])
    in_part = {tenant for (tenant,) in run.con.sql("select tenant_id from noted").fetchall()}
    return RefreshPlan(asset, versions, [t for t in tenants if t not in in_part], sorted(in_part))


def _find_watermarks(run: RunContext, asset: str, tenants: Sequence[str], names: Sequence[str]) -> None:
    kept = run.lake.current(run.con, operations.worked_inputs, tenants=tenants, name="kept_inputs")
    versions = "".join(f", cast(versions ->> '{name}' as bigint) as {name}" for name in names)
    run.con.execute(WATERMARKS_SQL.format(versions=versions, kept=kept), {"asset": asset, "code": compute_code_hash()})
    unknown = " or ".join(f"{name} is null" for name in names)
    run.con.execute(f"delete from noted where {unknown}")


def _exclude_heavily_changed(run: RunContext, tables: Sequence[Table]) -> None:
    counts = []
    for table in tables:
        name = to_lake_name(table)
        [(least,)] = run.con.sql(f"select min({name}) from noted").fetchall()
        if least is not None and least < run.lake.version(table):
            log = run.lake.log(run.con, table, after=least, name=f"read_{name}")
            news = f"from {log} join noted using (tenant_id) where _version > {name}"
            counts.append(f"select tenant_id, count(*) as changed {news} group by tenant_id")
    if counts:
        covered = run.lake.current(run.con, operations.service_snapshots, name="covered_rows")
        run.con.execute(f"""
            delete from noted where tenant_id in (
                select tenant_id from (select tenant_id, sum(changed) as changed
                    from ({" union all ".join(counts)}) group by tenant_id)
                left join (select tenant_id, sum(rows) as rows from {covered} group by tenant_id) using (tenant_id)
                where changed > {FULL_REFRESH_SHARE} * coalesce(rows, 0))""")


@cache
def compute_code_hash() -> str:
    """A hash of the package's sources: what another version computed is computed anew."""
    files = sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".sql"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
