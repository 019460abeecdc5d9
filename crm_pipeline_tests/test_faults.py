"""Errors of servers and libraries as lines for people: none quotes a row, a query or a password."""

import errno
import re
from collections.abc import Callable
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import dagster as dg
import duckdb
import psycopg2  # type: ignore[import-untyped]
import pytest
from sqlalchemy import create_engine

from crm_pipeline.defs.dagster_context import report_errors
from crm_pipeline.defs.jobs.alerts import describe_step_failure
from crm_pipeline.faults import describe_error, find_sqlstate_fault
from crm_pipeline.resources.warehouse.publishing.table_publication import PublishError
from crm_pipeline.settings import parse_folder

PLANTED = "jean@example.org", "hunter2"
NOBODY = "postgresql://jean%40example.org:hunter2@127.0.0.1:1/crm"
BY_SQLALCHEMY = NOBODY.replace("://", "+psycopg2://", 1)


def raise_error(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("act", "line"),
    [
        (lambda: psycopg2.connect(NOBODY), "PostgreSQL: the connection is refused"),
        (lambda: adbc.connect(NOBODY), "PostgreSQL: the connection is refused"),
        (
            lambda: create_engine(NOBODY.replace("://", "+psycopg2://", 1)).connect(),
            "PostgreSQL: the connection is refused",
        ),
        (lambda: duckdb.execute("select 'jean@example.org'::int"), "ConversionException in other code"),
        (lambda: raise_error(KeyError("jean@example.org")), "KeyError in other code"),
        (lambda: raise_error(ValueError("jean@example.org: No space left on device (os error 28)")), "No space left"),
        (lambda: raise_error(OSError(errno.EMFILE, "Too many open files", "a\nb")), "a\\nb: Too many open files"),
        (lambda: raise_error(PublishError("links: it\nis locked")), "links: it\\nis locked"),
    ],
)
def test_an_error_is_one_line_that_quotes_nobody(act: Callable[[], object], line: str) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011  of any library
        act()
    said = describe_error(raised.value)
    assert line in said
    assert "\n" not in said
    assert not any(planted in said for planted in PLANTED)


def test_an_error_of_this_package_is_found_by_file_and_line() -> None:
    with pytest.raises(AttributeError) as raised:
        parse_folder("LAKE_URL", None)  # type: ignore[arg-type]
    assert re.fullmatch(r"AttributeError in crm_pipeline/settings\.py:\d+", describe_error(raised.value))


def test_a_step_stores_and_reports_the_line_alone(tmp_path: Path) -> None:
    @dg.op
    @report_errors()
    def quote() -> None:
        duckdb.execute("select 'jean@example.org'::int")

    @dg.job
    def careless() -> None:
        quote()

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        result = careless.execute_in_process(instance=instance, raise_on_error=False)
        stored = [entry.to_json() for entry in instance.all_logs(result.run_id)]  # type: ignore[no-untyped-call]
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert describe_step_failure(failure).startswith("ConversionException in crm_pipeline/")
    assert any("ConversionException" in entry for entry in stored)
    # A line of code that has the value is shown among the calls; the error's message is not.
    assert not any("Could not convert" in entry for entry in stored)


@pytest.mark.parametrize(
    ("sqlstate", "reason"), [("XX001", "a page of a table is damaged"), ("XX002", "an index is damaged")]
)
def test_what_a_disk_has_damaged_is_named(sqlstate: str, reason: str) -> None:
    assert find_sqlstate_fault(sqlstate).reason == reason
