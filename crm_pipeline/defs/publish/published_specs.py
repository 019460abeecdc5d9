"""Specs of the published tables: a tenant's profiles and timeline are partitions, every other table is one asset."""

from typing import Final

import dagster as dg
from sqlalchemy import Table

from crm_pipeline.defs.dagster_context import TENANT_PARTITIONS
from crm_pipeline.defs.metadata import ASSETS_BY_TABLE, HOURLY, build_asset_options, build_published_lineage
from crm_pipeline.resources.warehouse.schema import CRM_SCHEMA
from crm_pipeline.steps.publish.gate import EVALUATED_TABLES
from crm_pipeline.steps.validate import SNAPSHOT_NAMES
from crm_pipeline.tables import PUBLISHED_TABLES
from crm_pipeline.tables.outputs import churn, identity, operations, privacy, profiles, timeline
from crm_pipeline.vocabulary import Service

WHOLE_TABLES: Final = tuple(table for table in PUBLISHED_TABLES if table not in EVALUATED_TABLES)
"""The published tables that are one asset each, without partitions."""
EVALUATED_ASSETS: Final = ("profile_scores", "timeline_events")
UPSTREAM_ASSETS: Final = {
    profiles.customer_profiles: ("profile_scores",),
    timeline.customer_timeline: EVALUATED_ASSETS,
    identity.customer_identities: ("customer_identities",),
    identity.identity_reviews: ("customer_identities",),
    identity.profile_events: ("customer_identities",),
    identity.profile_ids: ("customer_identities",),
    churn.churn_models: ("churn_model",),
    operations.quarantined_records: (
        *SNAPSHOT_NAMES.values(),
        "tenants",
        "customer_identities",
        "timeline_events",
        "profile_scores",
    ),
    operations.data_quality_results: EVALUATED_ASSETS,
    operations.publications: EVALUATED_ASSETS,
    operations.tenant_refreshes: EVALUATED_ASSETS,
    privacy.forgotten_totals: (SNAPSHOT_NAMES[Service.SCL], SNAPSHOT_NAMES[Service.TEETIME]),
}
"""The assets that each published table is made from."""


def build_published_key(table: Table) -> dg.AssetKey:
    """Returns the key of the table's asset: its name, and in front of it the schema where it has no partitions."""
    return dg.AssetKey([table.name] if table in EVALUATED_TABLES else [CRM_SCHEMA, table.name])


def build_published_specs() -> list[dg.AssetSpec]:
    """Returns the specs, those with partitions first."""
    return [_build_published_spec(table) for table in (*EVALUATED_TABLES, *WHOLE_TABLES)]


def _build_published_spec(table: Table) -> dg.AssetSpec:
    is_partitioned = table in EVALUATED_TABLES
    options = build_asset_options(HOURLY, table)
    options["metadata"] |= {"dagster/table_name": f"{CRM_SCHEMA}.{table.name}"}
    if table.name in ASSETS_BY_TABLE:
        options["metadata"] |= {"dagster/column_lineage": build_published_lineage(table)}
    return dg.AssetSpec(
        build_published_key(table),
        **options,
        deps=UPSTREAM_ASSETS[table],
        description=f"{table.comment} {CRM_SCHEMA}.{table.name} in PostgreSQL.",
        group_name="published",
        kinds={"postgres", "greatexpectations"} if is_partitioned else {"postgres"},
        partitions_def=TENANT_PARTITIONS if is_partitioned else None,
    )
