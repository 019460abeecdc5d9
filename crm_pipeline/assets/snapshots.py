"""Snapshots of the services in the lake: read whole, judged row by row, appended where something changed.

A service that cannot be believed does not stop the run: its last snapshot serves, and its check says so.
"""

from collections.abc import Iterator

import dagster as dg

from crm_pipeline.assets.metadata import columns_metadata, counted
from crm_pipeline.assets.step import Step, believed_of, step
from crm_pipeline.domain.records import faulty_rows, read_rows
from crm_pipeline.domain.snapshots import shrunken_tables
from crm_pipeline.resources.lake import Changes, Lake, tenant_filter
from crm_pipeline.resources.sources import SourceError, Sources
from crm_pipeline.settings import Settings
from crm_pipeline.tables import crm, operations, source_tables
from crm_pipeline.tables.projections import lake_name
from crm_pipeline.vocabulary import Service

FRESH = "snapshot_is_fresh"


def snapshot_asset(service: Service) -> dg.AssetsDefinition:
    """The asset that keeps one service's snapshot; the CRM's comes first, since it knows the tenants."""
    key = f"{service.lower()}_snapshot"

    @dg.asset(
        key=key,
        group_name="snapshots",
        kinds={"deltalake", "duckdb"},
        owners=["team:data"],
        tags={"service": service.lower()},
        description=f"{service} as last delivered: {', '.join(t.name for t in source_tables(service))}. In the lake.",
        deps=[] if service is Service.CRM else ["tenants"],
        check_specs=[dg.AssetCheckSpec(FRESH, asset=key, description="The service was read and believed in this run.")],
        metadata=columns_metadata(*source_tables(service)),
        code_version="1",
        pool=f"{service.lower()}_source",
    )
    def snapshot(
        context: dg.AssetExecutionContext,
        sources: dg.ResourceParam[Sources],
        lake: dg.ResourceParam[Lake],
        settings: dg.ResourceParam[Settings],
    ) -> dg.MaterializeResult:
        with step(context, lake, settings) as this:
            try:
                changes, fault = extract(this, sources, service, believed_of(context)), None
            except SourceError as error:
                changes, fault = {}, str(error)
                context.log.warning("%s; its last snapshot serves", fault)
            reasons = _quarantine(this, service, key)
            return dg.MaterializeResult(
                metadata={**counted(changes, _rows(this, service)), "quarantined": dg.MetadataValue.json(reasons)},
                check_results=[
                    dg.AssetCheckResult(
                        check_name=FRESH, passed=fault is None, metadata={"reason": fault} if fault else {}
                    )
                ],
            )

    return snapshot


def extract(this: Step, sources: Sources, service: Service, believed: frozenset[str]) -> dict[str, Changes]:
    """Read a service and append what changed; all of it or nothing. Raises SourceError, and then nothing changed."""
    _refuse_the_past(this, service)
    tables = source_tables(service)
    delivered = sources.snapshot(this.con, service)
    this.load_tenants()
    for table in tables:
        read_rows(this.con, table, delivered[table.name], f"incoming_{lake_name(table)}")
        if table is crm.tenant:
            this.load_tenants("incoming_crm_tenant")
        this.con.execute(f"delete from incoming_{lake_name(table)} where not ({tenant_filter(this.tenants)})")
        this.lake.current(this.con, table, tenants=this.tenants, name=f"present_{lake_name(table)}")
    if shrunken := [name for name in shrunken_tables(this.con, tables) if f"{service}.{name}" not in believed]:
        raise SourceError(
            f"{service}: {', '.join(shrunken)} lost more than half of its rows and is not believed;"
            f" if that is right, run once with --believe {service}.{shrunken[0]}"
        )
    changes = {t.name: this.replace(t, f"incoming_{lake_name(t)}", this.tenants) for t in tables}
    _note_snapshot(this, service)
    return changes


def _refuse_the_past(this: Step, service: Service) -> None:
    # Rows alone would not do: an extract that found nothing new leaves none.
    tables = (*source_tables(service), operations.service_snapshots)
    hours = [this.lake.latest(this.con, table, tenants=this.tenants) for table in tables]
    newest = max(filter(None, hours), default=None)
    if newest and this.as_of < newest:
        raise dg.Failure(
            f"as_of {this.as_of:%Y-%m-%d %H:%M} is before the last extract of {newest:%Y-%m-%d %H:%M};"
            " an earlier hour can only be replayed into another --home",
            allow_retries=False,
        )


def _note_snapshot(this: Step, service: Service) -> None:
    counts = " union all ".join(
        f"""select tenant_id, '{service}' as service, '{t.name}' as table_name, count(*) as rows,
            '{this.as_of.isoformat()}'::timestamptz as extracted_at from incoming_{lake_name(t)} group by tenant_id"""
        for t in source_tables(service)
    )
    this.con.execute(f"create or replace temp view read_tables as {counts}")
    this.replace(operations.service_snapshots, "read_tables", this.tenants, f"service = '{service}'")


def _quarantine(this: Step, service: Service, found_by: str) -> dict[str, int]:
    this.load_tenants()
    this.load_rows(source_tables(service))
    return this.quarantine(faulty_rows(source_tables(service), found_by), found_by, this.tenants)


def _rows(this: Step, service: Service) -> int:
    counts = " union all ".join(f"select count(*) from present_{lake_name(t)}" for t in source_tables(service))
    return sum(count for (count,) in this.con.sql(counts).fetchall())


def snapshot_assets() -> Iterator[dg.AssetsDefinition]:
    """The snapshot asset of every service."""
    return map(snapshot_asset, Service)
