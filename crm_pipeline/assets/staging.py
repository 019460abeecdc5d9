"""What is to be published: per tenant the tables that moved since they were, staged from the lake.

Rows that only changed a little are staged as the lake's log has them; whole tenants only where they are new, or where
the warehouse was published from another lake.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Table

from crm_pipeline.assets.step import Step
from crm_pipeline.domain.tenants import in_groups
from crm_pipeline.resources.lake_rows import tenant_filter
from crm_pipeline.resources.publication import Content, Published, Rows, lake_id, tenant_column
from crm_pipeline.resources.publisher import contents
from crm_pipeline.resources.warehouse_schema import literal
from crm_pipeline.tables.projections import key_columns

Known = Mapping[tuple[str, str], Published]
Due = Mapping[str, Sequence[Rows]]
MOST_STAGED = 2_000_000
"""Rows read whole at once; tenants are taken together up to this."""


def due_rows(this: Step, known: Known, table: Table, tenants: Sequence[str] | None) -> dict[str, Rows]:
    """The rows of each tenant that has something to publish, in a view of the lake called as `lake_rows` says."""
    own = lake_id(this.lake, table)
    versions = newest_versions(this, table, tenants)
    moved = {t: v for t, v in versions.items() if _state(known, table, t) != (own, v)}
    lined_up = {t for t in moved if _state(known, table, t)[0] == own} if _has_own_log(table) else set()
    those = None if tenants is None else list(moved)
    present = this.lake.current(this.con, table, tenants=those, name=lake_rows(table))
    log = _stage_log(this, known, table, sorted(lined_up))
    found = contents(this.con, table, present) if moved else {}
    return {
        tenant: Rows(
            table=table,
            relation=present,
            content=found.get(tenant, Content(0, 0)),
            version=version,
            lake_id=own,
            changes=log if tenant in lined_up else None,
        )
        for tenant, version in moved.items()
    }


def lake_rows(table: Table) -> str:
    """What the view of a table's rows in the lake is called."""
    return f"lake_{table.name}"


def in_order(this: Step, due: Due, tenants: Sequence[str]) -> Iterator[tuple[str, list[Rows]]]:
    """The tenants with what is due of them; rows that are needed whole are read for many tenants at once."""
    whole = Counter({t: sum(rows.content.rows for rows in due.get(t, ()) if not rows.changes) for t in tenants})
    for group in in_groups(sorted(tenants), whole, MOST_STAGED):
        staged = _stage_whole(this, due, group)
        for tenant in group:
            yield (
                tenant,
                [rows if rows.changes else rows._replace(relation=staged[rows.table]) for rows in due.get(tenant, ())],
            )


def _stage_whole(this: Step, due: Due, group: Sequence[str]) -> dict[Table, str]:
    """Per table of which somebody in the group needs every row, a temp table of theirs."""
    needed: dict[Table, list[str]] = defaultdict(list)
    for tenant in group:
        for rows in due.get(tenant, ()):
            if not rows.changes:
                needed[rows.table].append(tenant)
    for table, tenants in needed.items():
        mine = f"{tenant_column(table)} in ({', '.join(map(literal, tenants))})"
        query = f"select * from {lake_rows(table)} where {mine}"
        this.con.execute(f"create or replace temp table rows_{table.name} as {query}")
    return {table: f"rows_{table.name}" for table in needed}


def newest_versions(this: Step, table: Table, tenants: Sequence[str] | None) -> dict[str, int]:
    """The version of each tenant's newest row, -1 where there never was one; of no tenant's rows too for None."""
    log = this.lake.log(this.con, table)
    found = this.con.sql(
        f"select {tenant_column(table)}, max(_version) from {log} where {tenant_filter(tenants)} group by 1"
    ).fetchall()
    return dict.fromkeys(tenants or [], -1) | dict(found)


def _state(known: Known, table: Table, tenant: str) -> tuple[str | None, int]:
    published = known.get((table.name, tenant))
    return (published.lake_id, published.version) if published else (None, -1)


def _has_own_log(table: Table) -> bool:
    """Whether a tenant's log says everything; a row that passes to another tenant leaves no trace in its first."""
    return "tenant_id" in key_columns(table)


def _stage_log(this: Step, known: Known, table: Table, tenants: Sequence[str]) -> str:
    """Temp table of what changed in the lake since the longest unpublished of these tenants was published."""
    since = min((known[table.name, tenant].version for tenant in tenants), default=0)
    log, staged = this.lake.log(this.con, table), f"changed_{table.name}"
    this.con.execute(f"""
        create or replace temp table {staged} as
        select * from {log} where _version > {since} and {tenant_filter(tenants)}""")
    return staged
