"""Extraction from a real database: no row is lost or doubled, whatever happens between two runs."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from sqlalchemy import Engine, Table, text

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.privacy.tombstones import end_tombstones
from crm_pipeline.resources.sources import database
from crm_pipeline.resources.sources.delivery import ExtractionRequest, SourceError
from crm_pipeline.tables.sources import scl
from crm_pipeline_tests.fixtures.histories.histories import HISTORIES, TABLES, History, Move, a_database
from crm_pipeline_tests.fixtures.homes.soak import SOAK

COUNT = 200 if SOAK else 2
UNHURRIED = settings(
    max_examples=COUNT, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
)


@pytest.fixture(scope="module")
def engine(server: EmbeddedPostgres) -> Engine:
    return a_database(server)


def replay(engine: Engine, moves: list[Move]) -> None:
    """Plays the moves; asserts that a day later the lake has the database's rows, and no others."""
    with TemporaryDirectory() as folder, engine.connect() as session, engine.connect() as late:
        history = History(engine, session, late, Path(folder))
        history.begin()
        history.play(moves)
        late.commit()
        history.run(hours=25)
        for table in TABLES:
            assert history.in_lake(table) == history.in_database(table), f"{table.name} is another one in the lake"


LATE_COMMIT: list[Move] = [
    ("in_open_transaction", ("insert", "mesa", -1)),
    ("insert", "links", 0),
    ("run",),
    ("commit",),
    ("run",),
]
SLOW_CLOCK: list[Move] = [("insert", "links", 0), ("run",), ("insert", "links", -90), ("run",)]


@UNHURRIED
@given(moves=HISTORIES)
@example(moves=LATE_COMMIT)
@example(moves=SLOW_CLOCK)
def test_whatever_happens_the_lake_holds_what_the_database_holds(engine: Engine, moves: list[Move]) -> None:
    replay(engine, moves)


@pytest.mark.parametrize("moves", [LATE_COMMIT, SLOW_CLOCK], ids=["late commit", "slow clock"])
def test_asking_only_for_newer_times_would_not_do(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, moves: list[Move]
) -> None:
    """The same test fails with the condition most would write first."""
    monkeypatch.setattr(database, "_build_changed_rows_condition", newer_than_the_newest(engine))
    with pytest.raises(AssertionError, match="in the lake"):
        replay(engine, moves)


def newer_than_the_newest(engine: Engine) -> Callable[..., str | None]:
    """Returns the naive condition: rows whose updatedAt is above the highest one of the extraction before."""
    seen: dict[str, str] = {}

    def changed(table: Table, _: object, request: ExtractionRequest) -> str | None:
        before = seen.get(table.name, "-infinity")
        with engine.connect() as connection:
            newest = connection.execute(text(f"""select max("updatedAt")::text from "{table.name}\"""")).scalar()
        seen[table.name] = newest or "-infinity"
        return None if request.since is None else f"\"updatedAt\" > '{before}'"

    return changed


def test_only_what_changed_is_read_and_appended(history: History) -> None:
    history.play([("insert", "links", 0)] * 3)
    assert history.run().read_summary == "every row"
    history.play([("update", 0, 0)])
    found = history.run()
    assert found.read_summary == "rows that may have changed"
    assert {name: tuple(changes) for name, changes in found.changes.items()} == {
        "Member": (0, 1, 0),
        "TierChange": (0, 0, 0),
        "Payment": (0, 0, 0),
    }


def test_where_no_transaction_began_no_table_is_opened(history: History) -> None:
    history.play([("insert", "links", 0), ("run",)])

    def opened(moves: list[Move]) -> int:
        history.play(moves)
        before = tables_scanned(history.engine)
        history.run()
        return tables_scanned(history.engine) - before

    # The server's own maintenance may begin a transaction in between.
    assert min(opened([]) for _ in range(5)) == 0
    assert opened([("update", 0, 0)]) == len(TABLES)


def tables_scanned(engine: Engine) -> int:
    """Returns the number of sequential scans of the tables, once the pipeline's connections are closed."""
    with engine.connect() as connection:
        open_connections = "select count(*) from pg_stat_activity where application_name = 'crm-pipeline'"
        while connection.execute(text(open_connections)).scalar():
            connection.rollback()
        return int(connection.execute(text("select sum(seq_scan) from pg_stat_user_tables")).scalar_one())


def test_deleted_rows_show_once_a_day_and_every_row_is_read_once_a_week(history: History) -> None:
    history.play([("insert", "links", 0)] * 3)
    history.run()
    history.play([("delete", 0, 0)])
    assert history.run(hours=23).changes["Member"] == (0, 0, 0)
    swept = history.run()
    assert swept.read_summary == "rows that may have changed and every key"
    assert swept.changes["Member"] == (0, 0, 1)
    reads = [history.run(hours=24).read_summary for _ in range(6)]
    assert reads == ["rows that may have changed and every key"] * 5 + ["every row"]


def test_where_a_removed_golfer_came_again_every_row_is_read_once(history: History) -> None:
    history.play([("insert", "links", 0), ("insert", "mesa", 0)])
    history.run()
    history.run("links")
    with closing(history.lake.connect()) as con:
        con.execute("create temp table returning_golfers as select 'links' as tenant_id, 'c-0' as certificate_id")
        end_tombstones(con, history.lake, history.now)
    assert history.run("mesa").read_summary == "rows that may have changed"
    assert [history.run("links").read_summary for _ in range(2)] == ["every row", "rows that may have changed"]
    assert [history.run().read_summary for _ in range(2)] == ["every row", "rows that may have changed"]


def test_a_run_over_one_club_reads_that_club_and_covers_no_other(history: History) -> None:
    history.play([("insert", "links", 0), ("insert", "mesa", 0)])
    assert history.run("links").changes["Member"] == (1, 0, 0)
    assert history.run("links").read_summary == "rows that may have changed"
    assert history.run().read_summary == "every row"
    assert history.run("mesa").read_summary == "rows that may have changed"


def test_a_database_that_was_made_anew_is_read_whole(history: History, server: EmbeddedPostgres) -> None:
    """Transaction ids of another database do not compare; an older copy may have lower ones."""
    history.play([("insert", "links", 0)])
    history.run()
    restored = a_database(server)
    history.engine = restored
    assert history.run().read_summary == "every row"
    restored.dispose()


def test_a_table_that_lost_most_of_its_rows_is_not_believed(history: History) -> None:
    history.play([("insert", "links", 0)] * 60)
    history.run()
    history.session.execute(text('delete from "Member" where id > 6'))
    history.session.commit()
    assert history.run(hours=23).changes["Member"] == (0, 0, 0)
    with pytest.raises(SourceError, match="SCL: Member lost more than half of its rows and is not believed"):
        history.run()
    assert len(history.in_lake(scl.member)) == 60
