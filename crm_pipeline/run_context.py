"""The run context: tenants, hour, lake and DuckDB connection of one step of a run.

It loads validated source rows, splits tenants into batches, and replaces and quarantines rows in the lake.
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
"""Source rows of one tenant batch. A step's results take several times the memory of its source rows."""


@dataclass(frozen=True)
class RunContext:
    """One step of one run. `tenants` None means every tenant, and also the rows without a tenant."""

    con: DuckDBPyConnection
    lake: Lake
    as_of: datetime
    run_id: str
    tenants: Sequence[str] | None
    accepted_shrinks: frozenset[str] = frozenset()
    """The `SERVICE.Table` names that may lose more than half of their rows in this run."""
    erasure_key: str | None = field(default=None, repr=False)
    versions: Mapping[Table, int] = field(default_factory=dict)
    """Per table that is stored batch by batch, the version that its rows get."""
    only_required: bool = False
    """Whether personal source tables are read from `required_<lake name>`, the rows an incremental batch requires."""

    def load_tenants(self, rows: str | None = None) -> tuple[list[Tenant], dict[str, list[str]]]:
        """Returns the run's usable tenants, and per faulty tenant its faults as `column:REASON`.

        Reads: relation `rows`, shaped like lake table crm_tenant; by default the present rows of that table.
        Creates: temp tables `tenants` (the usable tenants) and `known_tenants` (the id of every row).
        """
        rows = rows or self.lake.create_current_view(self.con, crm.tenant, name="present_tenants")
        usable, faulty = find_usable_tenants(self.con, rows)
        run_tenants = None if self.tenants is None else set(self.tenants)
        usable = [tenant for tenant in usable if run_tenants is None or tenant.tenant_id in run_tenants]
        self.con.register("usable_tenants", build_tenants_table(usable))
        self.con.execute("create or replace temp table tenants as from usable_tenants")
        self.con.execute(f"create or replace temp table known_tenants as select tenant_id from {rows}")
        return usable, {
            tenant: faults for tenant, faults in faulty.items() if run_tenants is None or tenant in run_tenants
        }

    def load_tenant_ids(self) -> list[str]:
        """Returns the ids of the run's usable tenants; creates what `load_tenants` creates."""
        return [tenant.tenant_id for tenant in self.load_tenants()[0]]

    def load_rows(self, tables: Sequence[Table]) -> None:
        """Creates views `<lake name>` (valid rows) and `<lake name>_validated` (all rows) of these source tables.

        Reads: `tenants` and `known_tenants`, see `load_tenants`.
        """
        for table in tables:
            name = to_lake_name(table)
            if self.only_required and table in PERSONAL_TABLES:
                present = f"required_{name}"
            else:
                present = self.lake.create_current_view(self.con, table, tenants=self.tenants, name=f"present_{name}")
            validate_rows(self.con, table, present, self.as_of)

    def load_all_rows(self) -> list[str]:
        """Returns the ids of the run's usable tenants.

        Creates: the views of `load_rows` for all source tables, and the macros of `define_as_of`.
        """
        tenants = self.load_tenant_ids()
        self.load_rows(
            [*PERSON_TABLES.values(), *(t for t in source_metadata.tables.values() if t not in PERSON_TABLES.values())]
        )
        self.define_as_of()
        return tenants

    def define_as_of(self) -> None:
        """Creates macro `as_of()`, the run's hour, and the macros of times relative to it."""
        define_as_of(self.con, self.as_of)

    def replace(
        self,
        table: Table,
        incoming: str,
        tenants: Sequence[str] | None,
        condition: str = "true",
        *,
        present_rows: str | None = None,
    ) -> ChangeCounts:
        """`Lake.replace` as of this run."""
        return self.lake.replace(
            self.con,
            table,
            incoming,
            tenants=tenants,
            known_at=self.as_of,
            condition=condition,
            present_rows=present_rows,
            version=self.versions.get(table),
        )

    def tenant_batches(self, tenants: Sequence[str], *stored_tables: Table) -> Iterator["RunContext"]:
        """Yields this step for one tenant batch after another, each of at most MAX_BATCH_ROWS source rows.

        A tenant with more source rows is a batch of its own. All batches write the `stored_tables` with one version, so
        each batch may store a row only once. Without stored tables all tenants are one batch.
        """
        if not tenants:
            return
        versions = {table: self.lake.next_version(table) for table in stored_tables}
        row_counts = self.count_source_rows()
        max_rows = MAX_BATCH_ROWS if stored_tables else sum(row_counts.values())
        for batch_tenants in split_into_batches(sorted(tenants), row_counts, max_rows):
            yield replace(self, tenants=batch_tenants, versions=versions)

    def count_source_rows(self) -> dict[str, int]:
        """Returns the number of rows that the services hold of each tenant."""
        snapshots_view = self.lake.create_current_view(self.con, operations.service_snapshots)
        query = f"select tenant_id, cast(sum(rows) as bigint) from {snapshots_view} group by tenant_id"
        return dict(self.con.sql(query).fetchall())

    def quarantine(self, faults: str, found_by: str, tenants: Sequence[str] | None, condition: str = "true") -> None:
        """Makes these tenants' records quarantined by `found_by`, within `condition`, equal to query `faults`."""
        seen = f"'{self.as_of.isoformat()}'::timestamptz"
        self.con.execute(f"""
            create or replace temp table incoming_quarantined as
            select md5(concat_ws('|', tenant_id, service, table_name, _subject, column_name, reason)) as quarantine_id,
                case when tenant_id in (from known_tenants) then tenant_id end as tenant_id, service, table_name,
                service_record_id, column_name, reason, value, found_by, {seen} as first_seen_at,
                {seen} as last_seen_at
            from (select null::varchar as value where false union all by name ({faults})) as faults
            where {build_tenant_condition(tenants)}""")
        self.replace(
            operations.quarantined_records,
            "incoming_quarantined",
            tenants,
            f"found_by = '{found_by}' and ({condition})",
        )

    def count_quarantined(self, found_by: str, *, by: str = "reason") -> dict[str, int]:
        """Returns per value of column `by` how many rows of the step's tenants `found_by` has quarantined."""
        stored_view = self.lake.create_current_view(
            self.con, operations.quarantined_records, tenants=self.tenants, name="stored_quarantined"
        )
        query = f"select {by}, count(*) from {stored_view} where found_by = $found_by group by all order by all"
        return dict(self.con.execute(query, {"found_by": found_by}).fetchall())
