"""Scenes: a few hand-written rows of the services, and what the pipeline's own SQL makes of them, in a real DuckDB.

How a row is spelled belongs to `scene_rows`.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, NamedTuple

import duckdb
import pyarrow as pa
from duckdb import DuckDBPyConnection
from hypothesis import settings
from sqlalchemy import Table

from crm_pipeline.domain.as_of import define_as_of
from crm_pipeline.domain.churn.parameters import Models
from crm_pipeline.domain.contact_keys.person_records import normalise_people
from crm_pipeline.domain.ingest.row_validation import judge_rows
from crm_pipeline.domain.scoring.build_profiles import NEGATIVE_TOTALS, build_profiles
from crm_pipeline.domain.scoring.lifecycle import Transition, find_stage_changes
from crm_pipeline.domain.timeline.events import ORPHANS, build_timeline
from crm_pipeline.steps.identities.resolution import WITH_PRIMARY
from crm_pipeline.tables import PEOPLE
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline.tables.outputs import identity, profiles, timeline
from crm_pipeline.tables.projections import arrow_schema, duckdb_type, lake_name
from crm_pipeline.tables.sources import crm, teetime
from crm_pipeline_tests.domain.scene_rows import ANN, AS_OF, CLUB, CURRENCY, LONG_AGO, Rows, Values, ago
from crm_pipeline_tests.soak import SOAK

__all__ = ["ANN", "AS_OF", "CLUB", "CURRENCY", "LONG_AGO", "Refreshed", "Scene", "Values", "ago", "thorough"]

EVERY_TABLE: Final = (*PEOPLE.values(), *(t for t in source_metadata.tables.values() if t not in PEOPLE.values()))
"""People first: the other tables name them."""


def thorough(examples: int) -> settings:
    """Random clubs a property is tried on: a third of `examples`, with CRM_PIPELINE_SOAK=1 40 times as many."""
    return settings(max_examples=40 * examples if SOAK else (examples + 2) // 3, deadline=None, database=None)


class Refreshed(NamedTuple):
    """What a run would keep: rows as dicts, profiles by id, how often each stage gave way to another."""

    timeline: list[Values]
    profiles: dict[str, Values]
    transitions: Counter[Transition]


@dataclass
class Scene(Rows):
    """Rows, the hour they are looked at, what earlier runs kept, and the churn models that apply."""

    as_of: datetime = AS_OF
    con: DuckDBPyConnection = field(default_factory=duckdb.connect)
    events: pa.Table = field(default_factory=arrow_schema(timeline.customer_timeline).empty_table)
    kept: pa.Table = field(default_factory=arrow_schema(profiles.customer_profiles).empty_table)
    models: Models = field(default_factory=lambda: Models({}))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.con.execute("set TimeZone = 'UTC'; set threads = 1")  # for a few rows a second one is but waited for

    def timeline(self) -> list[Values]:
        """The events, by id."""
        self._set()
        build_timeline(self.con)
        self.con.execute("drop view stage_changes")  # a run scores on a connection of its own
        return self._read("events", timeline.customer_timeline)

    def refresh(self, as_of: datetime | None = None) -> Refreshed:
        """Run timeline and profiles in the order of the assets, and keep what they found for the next run."""
        self.as_of = as_of or self.as_of
        self.timeline()
        self.events = self._declared("events", timeline.customer_timeline)
        self.con.register("customer_timeline", self.events)
        build_profiles(self.con, self.models)
        transitions = find_stage_changes(self.con)
        changes = self._declared("stage_changes", timeline.customer_timeline)
        self.con.execute("drop table stage_changes")
        self.events = pa.concat_tables([self.events, changes])
        self.kept = self._declared("profiles", profiles.customer_profiles)
        found = {row["id"]: row for row in self._read("profiles", profiles.customer_profiles)}
        return Refreshed(sorted(self.events.to_pylist(), key=itemgetter("event_id")), found, transitions)

    def profile(self, profile: str = ANN) -> Values:
        """One profile, refreshed."""
        return self.refresh().profiles[profile]

    def fact(self, *names: str, profile: str = ANN) -> tuple[Any, ...]:
        """Facts the last refresh judged a profile by."""
        query = f"select {', '.join(names)} from facts where id = $profile"
        rows = self.con.sql(query, params={"profile": profile}).fetchall()
        return tuple(rows[0])

    def orphans(self) -> list[tuple[Any, ...]]:
        """Table, record and column of the CRM rows that name nobody, after `timeline`."""
        return self.con.sql(
            f"select table_name, service_record_id, column_name from ({ORPHANS}) order by all"
        ).fetchall()

    def negative_totals(self) -> list[Any]:
        """Profiles reported for a total below 0, after `refresh`."""
        return [row[0] for row in self.con.sql(f"select service_record_id from ({NEGATIVE_TOTALS})").fetchall()]

    def set_aside(self, table: Table) -> list[tuple[Any, ...]]:
        """What is wrong with the rows of a table that no query gets to see, by record id."""
        judged = f"select id, unnest(_problems) from {lake_name(table)}_judged order by all"
        return self.con.sql(judged).fetchall()

    def _set(self) -> None:
        """Create every relation the queries read, sound rows judged as in a run."""
        con = self.con
        define_as_of(con, self.as_of)
        self._table("tenants", arrow_schema(crm.tenant), self.rows["crm_tenant"])
        con.execute("create or replace temp view known_tenants as select tenant_id from tenants")
        for table in EVERY_TABLE:
            self._table(f"present_{lake_name(table)}", _lake_schema(table), self.rows[lake_name(table)])
            judge_rows(con, table, f"present_{lake_name(table)}", self.as_of)
        log = self.rows["teetime_booking"] + self.rows["booking_log"]
        self._table("teetime_booking_log", _lake_schema(teetime.booking), log)
        self._set_identities()
        con.register("customer_timeline", self.events)
        con.register("customer_profiles", self.kept)

    def _set_identities(self) -> None:
        self._table("profile_ids", arrow_schema(identity.profile_ids), self.rows["profile_ids"])
        links = self.rows["links"]
        self._table("shared_values", _SHARED, [{**link, "record_id": link["service_record_id"]} for link in links])
        self._table("resolved_identities", _LINKS, links)
        normalise_people(self.con)
        self.con.execute(WITH_PRIMARY)
        self.con.execute("create or replace temp view customer_identities as from found_identities")

    def _table(self, name: str, schema: pa.Schema, rows: list[Values]) -> None:
        plain: Values = {"_problems": []}
        self.con.register(name, pa.Table.from_pylist([plain | row for row in rows], schema))

    def _declared(self, relation: str, table: Table) -> pa.Table:
        columns = ", ".join(f"cast({column.key} as {duckdb_type(column)}) as {column.key}" for column in table.columns)
        return self.con.sql(f"select {columns} from {relation}").to_arrow_table().cast(arrow_schema(table))

    def _read(self, relation: str, table: Table) -> list[Values]:
        key = itemgetter(*(column.key for column in table.primary_key.columns))
        return sorted(self._declared(relation, table).to_pylist(), key=key)


def _lake_schema(table: Table) -> pa.Schema:
    return arrow_schema(table).append(pa.field("_problems", pa.list_(pa.string())))


_SAID_OF_LINKS: Final = ("is_primary", "email_is_shared", "phone_is_shared")
"""What the pipeline adds to resolved links."""
_LINKS: Final = pa.schema([f for f in arrow_schema(identity.customer_identities) if f.name not in _SAID_OF_LINKS])
_SHARED: Final = pa.schema(
    [(name, pa.string()) for name in ("tenant_id", "service", "record_id")]
    + [(name, pa.bool_()) for name in _SAID_OF_LINKS[1:]]
)
