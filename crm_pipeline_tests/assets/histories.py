"""Random histories of a service's own database: rows come, change and go, transactions stay open, clocks differ.

An hour's extraction can be made at any point, and what the lake then holds compared with what the database holds.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, insert, select, text, update

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.run_context import Step
from crm_pipeline.steps.extract import Extraction, extract
from crm_pipeline.tables import source_tables
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline.tables.sources import scl
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.service_databases import new_database

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
CLUBS = ("links", "mesa")
TABLES = source_tables(Service.SCL)

SKEW = st.sampled_from([0, 0, 0, -1, 4, -7, 90, -3_000, 100_000])
"""Minutes by which the clock of whoever writes a row is off."""
WHICH = st.integers(0, 30)
MOVES = st.one_of(
    st.tuples(st.just("insert"), st.sampled_from(CLUBS), SKEW),
    st.tuples(st.just("update"), WHICH, SKEW),
    st.tuples(st.just("update_silently"), WHICH, st.just(0)),
    st.tuples(st.just("move_to_other_club"), WHICH, SKEW),
    st.tuples(st.just("delete"), WHICH, st.just(0)),
    st.tuples(st.just("delete_and_insert_again"), WHICH, SKEW),
)
HISTORIES = st.lists(
    st.one_of(
        MOVES,
        st.tuples(st.just("in_open_transaction"), MOVES),
        st.sampled_from([("commit",), ("roll_back",)]),
        st.sampled_from([("run",), ("run",), ("run", "links"), ("run", "mesa")]),
    ),
    min_size=4,
    max_size=24,
)
Move = tuple[Any, ...]
_numbers = count(1)


def a_database(server: EmbeddedPostgres) -> Engine:
    """A new database with SCL's tables."""
    engine = new_database(server, f"scl_{next(_numbers)}")
    source_metadata.create_all(engine, TABLES)
    return engine


@dataclass
class History:
    """One database and one lake; the transaction of `late`, a second session, may stay open over runs."""

    engine: Engine
    session: Connection
    late: Connection
    folder: Path
    now: datetime = NOON
    rows: int = 0

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / "lake"), self.folder / "spill")

    def begin(self) -> None:
        """An empty database."""
        self.session.execute(text('truncate "Member", "TierChange", "Payment"'))
        self.session.commit()

    def play(self, moves: Sequence[Move]) -> None:
        """One move after the other; after each run over all clubs nothing may be missing."""
        for name, *details in moves:
            if name == "run":
                self.run(*details)
                if not details:
                    self.check_that_nothing_is_missing()
            elif name == "in_open_transaction":
                self._change(self.late, *details[0])
            elif name in ("commit", "roll_back"):
                self.late.commit() if name == "commit" else self.late.rollback()
            else:
                self._change(self.session, name, *details)
                self.session.commit()

    def run(self, *clubs: str, hours: int = 1) -> Extraction:
        """The extraction of the next hour."""
        self.now += timedelta(hours=hours)
        url = self.engine.url.render_as_string(hide_password=False)
        with closing(self.lake.connect()) as con:
            return extract(
                Step(con, self.lake, self.now, "run", clubs or None), Sources({Service.SCL: url}), Service.SCL
            )

    def check_that_nothing_is_missing(self) -> None:
        """Every committed row is in the lake as it is; what was deleted may still be there until keys are swept."""
        for table in TABLES:
            missing = set(self.in_database(table)) - set(self.in_lake(table))
            assert not missing, f"{table.name}: not in the lake: {missing}"

    def in_database(self, table: Table) -> list[tuple[Any, ...]]:
        """The committed rows, as PostgreSQL gives them."""
        with self.engine.connect() as fresh:
            return sorted(tuple(row) for row in fresh.execute(select(table)))

    def in_lake(self, table: Table) -> list[tuple[Any, ...]]:
        """The present rows of the lake in the same columns."""
        with closing(self.lake.connect()) as con:
            names = ", ".join(column.key for column in table.columns)
            return sorted(con.sql(f"select {names} from {self.lake.current(con, table)}").fetchall())

    def _change(self, session: Connection, name: str, which: str | int, skew: int) -> None:
        at = self.now + timedelta(minutes=skew)
        if isinstance(which, str):
            self._insert(session, which, at)
            return
        table = TABLES[which % 3]
        # A row that the other session holds is left to it.
        ids = session.execute(select(table.c.id).order_by(table.c.id).with_for_update(skip_locked=True)).scalars().all()
        if ids:
            self._change_row(session, name, table, table.c.id == ids[which % len(ids)], at)

    def _change_row(
        self, session: Connection, name: str, table: Table, this: ColumnElement[bool], at: datetime
    ) -> None:
        if name.startswith("delete"):
            [row] = session.execute(select(table).where(this))
            session.execute(delete(table).where(this))
            if name == "delete_and_insert_again":
                again = dict(zip(table.columns.keys(), row, strict=True)) | {"updated_at": at}
                session.execute(insert(table).values(again))
            return
        if name == "move_to_other_club":
            values: dict[str, object] = {
                "tenant_id": text("""case "tenantId" when 'links' then 'mesa' else 'links' end""")
            }
        else:
            self.rows += 1
            values = {CHANGING[table.name]: self.rows if table is scl.payment else f"changed {self.rows}"}
        moved = {} if name == "update_silently" else {"updated_at": at}
        session.execute(update(table).where(this).values(values | moved))

    def _insert(self, session: Connection, club: str, at: datetime) -> None:
        self.rows += 1
        of_all = {"tenant_id": club, "updated_at": at}
        member = {"id": self.rows, "email": f"m{self.rows}@example.com", "membership_status": "ACTIVE"}
        member |= {"joined_at": at, "created_at": at, "renews_on": date(2027, 1, 1), "yearly_fee_cents": self.rows}
        moved = {"id": f"t{self.rows}", "member_id": self.rows, "to_tier": "Gold", "changed_at": at}
        paid = {"id": f"p{self.rows}", "member_id": self.rows, "kind": "PAYMENT", "amount_cents": 2**53 + self.rows}
        paid |= {"currency": "GBP", "status": "SETTLED", "paid_at": at}
        for table, values in zip(TABLES, (member, moved, paid), strict=True):
            session.execute(insert(table).values(values | of_all))


CHANGING = {"Member": "email", "TierChange": "to_tier", "Payment": "amount_cents"}
