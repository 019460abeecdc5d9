"""The warehouse is a projection of the lake: dropped, it comes back as it was; and every night that is proved."""

from pathlib import Path

from click.testing import CliRunner
from sqlalchemy import NullPool, create_engine, make_url, text

from crm_pipeline.cli import main
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.tables import PUBLISHED_TABLES, PUBLISHER_TABLES
from crm_pipeline_tests.fixtures.homes.runs import FYNBOS, HEATHER, contents, run_job
from crm_pipeline_tests.fixtures.homes.support import ask, clean_environment, refresh

WHEN = "published_at", "refreshed_at", "run_id"
"""When a publication or a refresh was made, and by which run."""


def hashes(home: Path) -> dict[str, str]:
    """A hash of every table with all its columns, and all its rows; of those the publisher writes without when."""
    found = {}
    for table in PUBLISHED_TABLES:
        names = [c.name for c in table.columns if table not in PUBLISHER_TABLES or c.name not in WHEN]
        row = f"md5(row({', '.join(names)})::text)"
        found[table.name] = str(ask(home, f"select md5(string_agg({row}, '' order by {row})) from crm.{table.name}"))
    return found


def as_superuser(home: Path, *statements: str, database: str = "postgres") -> None:
    url = make_url(EmbeddedPostgres(home).url("postgres")).set(database=database)
    with create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_a_dropped_database_is_rebuilt_identically_by_one_run(refreshed: Path) -> None:
    before = hashes(refreshed)
    as_superuser(refreshed, "drop database crm with (force)", "create database crm owner crm_pipeline")
    assert refresh(refreshed).failures == []
    assert hashes(refreshed) == before


def test_the_night_finds_nothing_after_a_refresh_and_whatever_was_spoilt_later(refreshed: Path) -> None:
    before = hashes(refreshed)
    assert run_job(refreshed, "reconcile").success
    as_superuser(refreshed, f"delete from crm.customer_identities where tenant_id = '{HEATHER}'", database="crm")
    result = run_job(refreshed, "reconcile")
    (failure,) = result.get_step_failure_events()
    told = failure.step_failure_data.user_failure_data
    assert told
    assert f"customer_identities of {HEATHER}: 0 rows, the lake has " in str(told.description)
    assert FYNBOS not in str(told.description)
    assert refresh(refreshed).failures == []
    assert run_job(refreshed, "reconcile").success
    assert hashes(refreshed) == before


def test_a_tenant_is_dropped_by_command_alone_with_its_logins(refreshed: Path) -> None:
    kept = contents(refreshed, "customer_timeline", FYNBOS)
    run = CliRunner().invoke
    where = ["--home", str(refreshed), "--tenant", HEATHER]
    with clean_environment():
        assert run(main, ["database", "grant", *where]).exit_code == 0
        assert run(main, ["database", "drop-tenant", *where], input="n\n").exit_code == 1
        assert contents(refreshed, "customer_profiles", HEATHER) != []
        done = run(main, ["database", "drop-tenant", "--yes", *where])
    assert done.exit_code == 0, done.output
    assert done.output.endswith(f"rows of {HEATHER} are gone\n")
    for table in PUBLISHED_TABLES:
        assert contents(refreshed, table.name, HEATHER) == [], table.name
    left = """select relname from pg_class where relispartition and relkind = 'r'
        union all select rolname from pg_roles where rolname like 'bi\\_heather%'"""
    partitioned = [table for table in PUBLISHED_TABLES if table.info.get("partitioned_by")]
    assert len(ask(refreshed, left)) == 2 * len(partitioned)
    assert contents(refreshed, "customer_timeline", FYNBOS) == kept
    assert refresh(refreshed).failures == []
    assert contents(refreshed, "customer_profiles", HEATHER) != [], "it is still open in the CRM"
