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

from crm_pipeline.domain.churn.parameters import POOL
from crm_pipeline.run_context import Step
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline.tables.outputs import operations
from crm_pipeline.tables.projections import lake_name

PACKAGE: Final = Path(__file__).parents[1]
MUCH: Final = 0.02
"""The share of a tenant's source rows from which on finding out whom they touch takes longer than everything anew."""
NOTED: Final = """
    create or replace temp table noted as
    select tenant_id, worked_at{versions} from {kept} join tenants using (tenant_id)
    where asset = $asset and code = $code and worked_at <= as_of()
        and cast(timezone(timezone, worked_at) as date) = cast(timezone(timezone, as_of()) as date)"""


@dataclass(frozen=True)
class Inputs:
    """What an asset reads, each table in the version it has now, and who is computed how from it."""

    asset: str
    versions: dict[str, int]
    whole: list[str]
    in_part: list[str]

    def note(self, this: Step) -> None:
        """Keep that the asset is now computed from these versions; comes after everything else it keeps."""
        tenants = [*self.whole, *self.in_part]
        this.con.execute(
            """create or replace temp table worked as
            select unnest($tenants::varchar[]) as tenant_id, $asset as asset, $at::timestamptz as worked_at,
                $versions as versions, $code as code""",
            {
                "tenants": tenants,
                "asset": self.asset,
                "at": this.as_of,
                "versions": json.dumps(self.versions),
                "code": code_hash(),
            },
        )
        this.replace(operations.worked_inputs, "worked", tenants, f"asset = '{self.asset}'")


def find_inputs(
    this: Step, asset: str, reads: Sequence[Table], tenants: Sequence[str], *, decisive: Sequence[Table]
) -> Inputs:
    """Tell who of the loaded tenants is computed whole, and who by what changed: these are in temp table `noted`.

    It has tenant_id, worked_at and, called as each table of `reads` is in the lake, the version last read. Of the
    `decisive` tables any change, of the tenant's rows or of those that speak of all, asks for everything.
    """
    this.define_as_of()
    versions = {lake_name(table): this.lake.version(table) for table in (*reads, *decisive)}
    _find_noted(this, asset, tenants, list(versions))
    for table in decisive:
        theirs = f"l.tenant_id in (noted.tenant_id, '{POOL}') and l._version > noted.{lake_name(table)}"
        log = this.lake.log(this.con, table, name="decisive_log")
        this.con.execute(f"delete from noted where exists (select 1 from {log} l where {theirs})")
    _leave_out_much_changed(this, [table for table in reads if table.metadata is source_metadata])
    in_part = {tenant for (tenant,) in this.con.sql("select tenant_id from noted").fetchall()}
    return Inputs(asset, versions, [t for t in tenants if t not in in_part], sorted(in_part))


def _find_noted(this: Step, asset: str, tenants: Sequence[str], names: Sequence[str]) -> None:
    kept = this.lake.current(this.con, operations.worked_inputs, tenants=tenants, name="kept_inputs")
    versions = "".join(f", cast(versions ->> '{name}' as bigint) as {name}" for name in names)
    this.con.execute(NOTED.format(versions=versions, kept=kept), {"asset": asset, "code": code_hash()})
    unknown = " or ".join(f"{name} is null" for name in names)
    this.con.execute(f"delete from noted where {unknown}")


def _leave_out_much_changed(this: Step, tables: Sequence[Table]) -> None:
    counts = []
    for table in tables:
        name = lake_name(table)
        [(least,)] = this.con.sql(f"select min({name}) from noted").fetchall()
        if least is not None and least < this.lake.version(table):
            log = this.lake.log(this.con, table, after=least, name=f"read_{name}")
            news = f"from {log} join noted using (tenant_id) where _version > {name}"
            counts.append(f"select tenant_id, count(*) as changed {news} group by tenant_id")
    if counts:
        covered = this.lake.current(this.con, operations.service_snapshots, name="covered_rows")
        this.con.execute(f"""
            delete from noted where tenant_id in (
                select tenant_id from (select tenant_id, sum(changed) as changed
                    from ({" union all ".join(counts)}) group by tenant_id)
                left join (select tenant_id, sum(rows) as rows from {covered} group by tenant_id) using (tenant_id)
                where changed > {MUCH} * coalesce(rows, 0))""")


@cache
def code_hash() -> str:
    """A hash of the package's sources: what another version computed is computed anew."""
    files = sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".sql"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
