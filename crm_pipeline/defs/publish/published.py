"""The published tables: a tenant's profiles and timeline, checked, then published in one transaction, and the others.

A tenant that fails its checks, or whose own row is invalid, keeps its last published rows while the others go on. When
most tenants fail, the pipeline is at fault, and none is published.
"""

from collections.abc import Iterator, Set
from functools import partial

import dagster as dg

from crm_pipeline.defs.dagster_context import open_run_context
from crm_pipeline.defs.publish.check_results import build_check_specs, build_step_evaluations, report_results
from crm_pipeline.defs.publish.freshness_check import build_freshness_evaluation, build_freshness_spec, report_freshness
from crm_pipeline.defs.publish.materializations import report_materializations
from crm_pipeline.defs.publish.published_specs import build_published_specs
from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters
from crm_pipeline.incremental.failures import build_for_survivors, load_failures
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.warehouse.freshness import TenantFreshness, find_news, read_freshness
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import Settings
from crm_pipeline.steps.publish.gate import evaluate_tenants, find_failed_tenants, store_measures, store_results
from crm_pipeline.steps.publish.publish import (
    TENANT_GONE,
    TENANT_TABLES,
    count_published_rows,
    find_pending_tables,
    find_snapshot_ages,
    find_tenant_refreshes,
    list_gone_tenants,
    publish_reports,
    publish_tenants,
    update_data_docs,
)


@dg.multi_asset(
    name="published",
    description="Checks the run's tenants and publishes those that pass, each in one transaction.",
    specs=build_published_specs(),
    check_specs=[*build_check_specs(), build_freshness_spec()],
    backfill_policy=dg.BackfillPolicy.single_run(),
    # A backfill of the partitioned tables is a run without the others. Whatever is selected, all tables are published.
    can_subset=True,
)
def published(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    warehouse: dg.ResourceParam[Warehouse],
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.MaterializeResult]:
    """Yields the results of the run's tenants, checked and published.

    Raises: Failure naming the tenants that were not published.
    """
    with open_run_context(context, lake, settings) as run:
        usable, faulty = run.load_tenants()
        failures = load_failures(run, [tenant.tenant_id for tenant in usable])
        tenants = [tenant.tenant_id for tenant in usable if tenant.tenant_id not in failures]
        wrong_rows = {tenant: f"its Tenant row is wrong: {', '.join(faults)}" for tenant, faults in faulty.items()}
        unpublished = wrong_rows | failures
        clubs_before = _read_clubs(warehouse)
        with warehouse.publisher(run.con, as_of=run.as_of, run_id=run.run_id) as publisher:
            pending, failures = build_for_survivors(
                partial(find_pending_tables, run, publisher, TENANT_TABLES), tenants
            )
            unpublished |= failures
            tenants = [tenant for tenant in tenants if tenant not in failures]
            gate_result, failures = build_for_survivors(partial(evaluate_tenants, run, pending), tenants)
            unpublished |= failures
            results = gate_result.results
            if results:
                store = partial(store_results, run, results)
                _, failures = build_for_survivors(store, gate_result.fully_evaluated_tenants)
                unpublished |= failures
                report_results(context, run, [result for result in results if result.tenant_id not in failures])
            _, failures = build_for_survivors(partial(store_measures, run), gate_result.fully_evaluated_tenants)
            unpublished |= failures
            unpublished |= find_failed_tenants(results, tenants)
            changes = publish_tenants(
                run, publisher, pending, [t for t in tenants if t not in unpublished], unpublished
            )
            publish_reports(run, publisher, unpublished)
            refreshes = find_tenant_refreshes(run, usable, unpublished, [club.tenant_id for club in clubs_before])
            for tenant in list_gone_tenants(refreshes):
                context.log.warning(
                    "%s: %s; what was published stays", escape_invisible_characters(tenant), TENANT_GONE
                )
            publisher.store_refresh_time(refreshes, run.tenants, find_snapshot_ages(run, refreshes))
            rows = count_published_rows(publisher)
        clubs = _read_clubs(warehouse)
        news = find_news(clubs_before, clubs)
        report_freshness(context, news)
        update_data_docs(run, settings.home, results, clubs, news)
        changes |= {tenant: {} for tenant in _find_closed_tenants(context, run, {*tenants, *unpublished})}
        evaluations = [*build_step_evaluations(context, run, tenants), build_freshness_evaluation(context, clubs)]
        yield from report_materializations(context, changes, rows, publisher.costs, unpublished, evaluations)


def _read_clubs(warehouse: Warehouse) -> list[TenantFreshness]:
    with warehouse.engine().connect() as connection:
        return read_freshness(connection)


def _find_closed_tenants(context: dg.AssetExecutionContext, run: RunContext, open_tenants: Set[str]) -> list[str]:
    """Returns the run's partitions that are closed clubs, which have no changes; without clubs that left the CRM."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return []
    known = {tenant for (tenant,) in run.con.sql("from known_tenants").fetchall()}
    return [tenant for tenant in context.partition_keys if tenant in known - open_tenants]
