"""What every asset's step needs before it can call the domain: the run's tenants, its hour, and a connection.

Nothing about any one asset belongs here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.domain.as_of import define_as_of
from crm_pipeline.domain.batches import split_into_batches
from crm_pipeline.domain.ingest.row_validation import validate_rows
from crm_pipeline.domain.ingest.tenant_validation import Tenant, build_tenants_table, find_usable_tenants
from crm_pipeline.resources.lake.lake import ChangeCounts, Lake
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline.tables.outputs import operations
from crm_pipeline.tables.ownership import PERSONAL_TABLES
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import crm

MAX_BATCH_ROWS = 1_000_000
"""Rows of services; what a step makes of them takes some times the memory that they do."""


@dataclass(frozen=True)
class RunContext:
    """One step of one run. `tenants` None means every tenant, and with them the rows that belong to none."""

    con: DuckDBPyConnection
    lake: Lake
    as_of: datetime
    run_id: str
    tenants: Sequence[str] | None
    accepted_shrinks: frozenset[str] = frozenset()
    """The `SERVICE.Table` names whose shrinking this run was told to believe."""
    erasure_key: str | None = field(default=None, repr=False)
    versions: Mapping[Table, int] = field(default_factory=dict)
    """Of tables that are kept in parts, the version their rows get."""
    only_required: bool = False
    """Whether of source tables only those rows are read that were found to be needed, `needed_<lake name>`."""

    def load_tenants(self, rows: str | None = None) -> tuple[list[Tenant], dict[str, list[str]]]:
        """Create relations `tenants` (the run's usable ones) and `known_tenants` (all); return usable and faulty ones.

        They come from relation `rows`, shaped as the lake keeps crm_tenant; by default from what the lake keeps.
        """
        rows = rows or self.lake.current(self.con, crm.tenant, name="present_tenants")
        usable, faulty = find_usable_tenants(self.con, rows)
        wanted = None if self.tenants is None else set(self.tenants)
        usable = [tenant for tenant in usable if wanted is None or tenant.tenant_id in wanted]
        self.con.register("usable_tenants", build_tenants_table(usable))
        self.con.execute("create or replace temp table tenants as from usable_tenants")
        self.con.execute(f"create or replace temp table known_tenants as select tenant_id from {rows}")
        return usable, {tenant: faults for tenant, faults in faulty.items() if wanted is None or tenant in wanted}

    def load_rows(self, tables: Sequence[Table]) -> None:
        """Create the sound and judged views of these source tables; `load_tenants` comes first."""
        for table in tables:
            present = self.lake.current(self.con, table, tenants=self.tenants, name=f"present_{to_lake_name(table)}")
            if self.only_required and table in PERSONAL_TABLES:
                present = f"needed_{to_lake_name(table)}"
            validate_rows(self.con, table, present, self.as_of)

    def load_all_rows(self) -> list[Tenant]:
        """All source tables of the run's usable tenants, and the as_of() every query speaks of."""
        tenants, _ = self.load_tenants()
        self.load_rows(
            [*PERSON_TABLES.values(), *(t for t in source_metadata.tables.values() if t not in PERSON_TABLES.values())]
        )
        self.define_as_of()
        return tenants

    def define_as_of(self) -> None:
        """Create the macros by which queries and checks speak of the hour."""
        define_as_of(self.con, self.as_of)

    def replace(
        self,
        table: Table,
        incoming: str,
        tenants: Sequence[str] | None,
        scope: str = "true",
        *,
        before: str | None = None,
    ) -> ChangeCounts:
        """`Lake.replace` as of this run."""
        return self.lake.replace(
            self.con,
            table,
            incoming,
            tenants=tenants,
            known_at=self.as_of,
            scope=scope,
            before=before,
            version=self.versions.get(table),
        )

    def tenant_batches(self, tenants: Sequence[str], *kept: Table) -> Iterator["RunContext"]:
        """This step for some tenants after others, as many at a time as memory has room for the rows of.

        What all parts keep in the tables `kept` has one version; each part keeps any row of them once.
        """
        versions = {table: self.lake.next_version(table) for table in kept}
        covered = self.lake.current(self.con, operations.service_snapshots)
        query = f"select tenant_id, cast(sum(rows) as bigint) from {covered} group by tenant_id"
        for group in split_into_batches(sorted(tenants), dict(self.con.sql(query).fetchall()), MAX_BATCH_ROWS):
            yield replace(self, tenants=group, versions=versions)

    def quarantine(self, faults: str, found_by: str, tenants: Sequence[str] | None, scope: str = "true") -> None:
        """Make what `found_by` has set aside of these tenants, within `scope`, equal to query `faults`."""
        seen = f"'{self.as_of.isoformat()}'::timestamptz"
        self.con.execute(f"""
            create or replace temp table set_aside as
            select md5(concat_ws('|', tenant_id, service, table_name, _subject, column_name, reason)) as quarantine_id,
                case when tenant_id in (from known_tenants) then tenant_id end as tenant_id, service, table_name,
                service_record_id, column_name, reason, found_by, {seen} as first_seen_at, {seen} as last_seen_at
            from ({faults}) as faults where {build_tenant_condition(tenants)}""")
        self.replace(operations.quarantined_records, "set_aside", tenants, f"found_by = '{found_by}' and ({scope})")

    def set_aside(self, found_by: str) -> dict[str, int]:
        """How many rows `found_by` has set aside of the step's tenants, by reason."""
        kept = self.lake.current(self.con, operations.quarantined_records, tenants=self.tenants, name="kept_aside")
        query = f"select reason, count(*) from {kept} where found_by = $found_by group by reason order by reason"
        return dict(self.con.execute(query, {"found_by": found_by}).fetchall())
