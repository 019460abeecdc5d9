"""Personal data stays in the lake and the warehouse: what Dagster keeps and what we print hold none of it."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline_tests.fixtures.homes.runs import FYNBOS, SAGUARO, keep_in_lake, mend, publish_alone, said
from crm_pipeline_tests.fixtures.homes.support import SAMPLE, ask, refresh

PEOPLE = ("scl/Member.csv", "teetime/Player.csv", "messaging/Contact.csv", "crm/Lead.csv")
COMMON_WORDS = re.compile("[^A-Za-z]|^.{0,4}$")
"""A name of four letters may be part of any word; longer ones are looked for as words of their own."""


def people() -> Iterator[dict[str, str]]:
    for file in PEOPLE:
        with (SAMPLE / file).open(encoding="utf-8", newline="") as rows:
            yield from csv.DictReader(rows)


def contacts() -> set[str]:
    """Every email and phone number of the sample as written, and the numbers' last seven digits."""
    emails = {row["email"].strip().lower() for row in people() if "@" in row["email"]}
    phones = {row["phoneNumber"].strip() for row in people() if len(row["phoneNumber"].strip()) > 5}
    digits = {re.sub(r"\D", "", phone)[-9:] for phone in phones}
    return emails | phones | {number for number in digits if len(number) == 9}


def names() -> set[str]:
    found = {row[column].strip().lower() for row in people() for column in ("firstName", "lastName")}
    return {name for name in found if not COMMON_WORDS.search(name)}


def leaked(kept: str) -> set[str]:
    """Which personal data stand in a text, be it JSON or not."""
    lower = kept.lower() + json.dumps(kept, ensure_ascii=False).lower()
    return {value for value in contacts() if value in lower} | (names() & set(re.findall("[a-z]+", lower)))


def everything_dagster_keeps(home: Path) -> str:
    engine = create_engine(EmbeddedPostgres(home).url("dagster"))
    with engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        assert {"event_logs", "run_tags", "runs", "asset_keys"} <= set(tables)
        rows = [str(row) for table in tables for row in connection.execute(text(f'select t::text from "{table}" t'))]
    engine.dispose()
    files = [path.read_text(errors="replace") for path in (home / "dagster").rglob("*") if path.is_file()]
    return "\n".join([*rows, *files, (home / "postgres" / "server.log").read_text(errors="replace")])


def everything_told_of_checks(home: Path) -> str:
    """Their results in the warehouse, and Data Docs."""
    rows = [str(row) for row in ask(home, "select to_jsonb(t)::text from crm.data_quality_results t")]
    pages = [path.read_text(errors="replace") for path in (home / "data_docs").rglob("*") if path.is_file()]
    assert pages
    return "\n".join([*rows, *pages])


def test_the_search_finds_what_it_looks_for() -> None:
    row = next(row for row in people() if row["email"] and row["phoneNumber"] and row["lastName"].lower() in names())
    assert leaked(f"x{row['email'].upper()}y") >= {row["email"].lower()}
    assert leaked(f'{{"a": "{row["phoneNumber"]}"}}')
    assert leaked(f"(a, {row['lastName']})") == {row["lastName"].lower()}
    assert not leaked("published customer_profiles of heather-moor")


def test_no_log_and_no_table_of_dagsters_tells_who_anybody_is(
    refreshed: Path, services: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    mend(services / "crm" / "Tenant.csv", "Europe/London", "Europe/Lundun")
    (services / "scl" / "Payment.csv").unlink()
    faults = refresh(refreshed, services).failures
    assert len(faults) == 2
    names_for_words = "display_name as lifecycle_stage, email as churn_basis, phone_number as status"
    keep_in_lake(refreshed, {FYNBOS: names_for_words, SAGUARO: "email || chr(0) as email"})
    failed = said(publish_alone(refreshed))
    assert f"{FYNBOS} (customer_profiles: " in failed
    assert f"{SAGUARO} (there is text that is not UTF-8 (SQLSTATE 22021))" in failed
    not_json = "null as email, '{' || coalesce(display_name, '') as field_sources"
    keep_in_lake(refreshed, {SAGUARO: not_json})
    assert f"{SAGUARO} (PostgreSQL reports SQLSTATE 22P02)" in said(publish_alone(refreshed))
    shown = capfd.readouterr()
    printed = [*faults, failed, shown.out, shown.err, caplog.text, *(str(entry.__dict__) for entry in caplog.records)]
    assert leaked("\n".join(printed)) == set()
    assert leaked(everything_told_of_checks(refreshed)) == set()
    assert leaked(everything_dagster_keeps(refreshed)) == set()
