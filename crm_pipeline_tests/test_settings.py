"""Settings that cannot be used are refused by name; URLs of databases come in many spellings."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg2.extensions import parse_dsn  # type: ignore[import-untyped]
from sqlalchemy import create_engine, make_url

from crm_pipeline.settings import (
    ERASURE_KEY_FILE,
    SettingError,
    Settings,
    build_source_variable_name,
    format_libpq_url,
    format_sqlalchemy_url,
    format_time,
    parse_database_url,
    parse_folder,
    parse_time,
)
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.homes.support import clean_environment

DATABASES = {
    "WAREHOUSE_URL": "warehouse_url",
    "WAREHOUSE_ADMIN_URL": "warehouse_admin_url",
    "DAGSTER_PG_URL": "dagster_pg_url",
}
SOURCES = {build_source_variable_name(service): service for service in Service}
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def database_url(name: str, value: str) -> str:
    """The URL that a setting is taken for."""
    with clean_environment(**{name: value}):
        settings = Settings.from_environment()
    return str(settings.sources[SOURCES[name]] if name in SOURCES else getattr(settings, DATABASES[name]))


@pytest.mark.parametrize("name", ["CRM_PIPELINE_HOME", "LAKE_URL"])
@pytest.mark.parametrize("sign", list("[]%=*?\\^|\n\t\x1b\x7f"))
def test_folders_no_list_of_files_can_hold_are_refused(tmp_path: Path, name: str, sign: str) -> None:
    with (
        clean_environment(**{name: str(tmp_path / f"a{sign}b")}),
        pytest.raises(SettingError, match=f"{name}: .* contains") as error,
    ):
        Settings.from_environment()
    assert str(error.value).isprintable()


@pytest.mark.parametrize("folder", ["{a,b}", "it's", "~club", "a b", "Übersee", "a+b&c#d"])
def test_a_home_may_have_any_other_name(tmp_path: Path, folder: str) -> None:
    with clean_environment(CRM_PIPELINE_HOME=str(tmp_path / folder)):
        assert Settings.from_environment().lake_url == str(tmp_path / folder / "lake")


def test_a_lake_is_a_folder_wherever_it_is_named_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("lake", f"file://{tmp_path}/la%6Be", "./lake"):
        with clean_environment(LAKE_URL=name):
            assert Path(Settings.from_environment().lake_url) == tmp_path / "lake"
    with clean_environment(LAKE_URL="~/lake"):
        assert Settings.from_environment().lake_url == str(tmp_path / "~" / "lake")  # no shell, no home of anybody
    with clean_environment(LAKE_URL="s3://bucket/lake"), pytest.raises(SettingError, match="LAKE_URL must be a folder"):
        Settings.from_environment()


def test_a_time_that_is_none_is_refused() -> None:
    far = "CRM_PIPELINE_AS_OF: 2262-01-01 is more than a day ahead of the clock"
    with clean_environment(CRM_PIPELINE_AS_OF="2262-01-01"), pytest.raises(SettingError, match=far):
        Settings.from_environment()
    with clean_environment(CRM_PIPELINE_AS_OF="noon"), pytest.raises(SettingError, match="CRM_PIPELINE_AS_OF: 'noon'"):
        Settings.from_environment()


@pytest.mark.parametrize("amount", ["much", "0GB", "4", "-1GB"])
def test_an_amount_of_memory_that_is_none_is_refused(amount: str) -> None:
    with (
        clean_environment(CRM_PIPELINE_MEMORY=amount),
        pytest.raises(SettingError, match=r"CRM_PIPELINE_MEMORY: .* such as 512MB or 4GB"),
    ):
        Settings.from_environment()


def test_the_key_kept_in_the_home_is_that_of_the_embedded_server_alone(tmp_path: Path) -> None:
    (tmp_path / ERASURE_KEY_FILE).write_text(f"{'k' * 32}\n")
    home = {"CRM_PIPELINE_HOME": str(tmp_path)}
    for variables, key in (
        ({}, "k" * 32),
        ({"ERASURE_KEY": "e" * 40}, "e" * 40),
        ({"WAREHOUSE_URL": "postgresql://somewhere/crm"}, None),
    ):
        with clean_environment(**home, **variables):
            assert Settings.from_environment().erasure_key == key


def test_a_time_is_written_as_it_is_read() -> None:
    assert format_time(parse_time("x", "2026-03-31T14:00:00+02:00")) == "2026-03-31T12:00:00Z"


@pytest.mark.parametrize("name", [*DATABASES, *SOURCES])
@pytest.mark.parametrize(
    "scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+psycopg", "PostgreSQL"]
)
def test_every_usual_scheme_names_a_database(name: str, scheme: str) -> None:
    url = database_url(name, f"{scheme}://ada:hunter2@db.example:6432/crm")
    assert url == "postgresql+psycopg2://ada:hunter2@db.example:6432/crm"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ada@db.example/crm", {"user": "ada", "host": "db.example", "dbname": "crm"}),
        ("ada@db.example", {"user": "ada", "host": "db.example", "dbname": "ada"}),
        (
            "ada:p%40ss%2Fw%20rd%2B%25@db.example:6432/crm",
            {"user": "ada", "password": "p@ss/w rd+%", "host": "db.example", "port": "6432", "dbname": "crm"},
        ),
        (
            "ada:a:b?c#d+e@db.example/crm",
            {"user": "ada", "password": "a:b?c#d+e", "host": "db.example", "dbname": "crm"},
        ),
        ("ada@db.example/crm?options=-c+a", {"user": "ada", "host": "db.example", "dbname": "crm", "options": "-c+a"}),
        (
            "ada@db.example/crm?sslmode=verify-full&application_name=a%2Bb%20c",
            {
                "user": "ada",
                "host": "db.example",
                "dbname": "crm",
                "sslmode": "verify-full",
                "application_name": "a+b c",
            },
        ),
        (
            "ada@db1,db2:5433/crm?target_session_attrs=read-write",
            {"user": "ada", "host": "db1,db2", "port": ",5433", "dbname": "crm", "target_session_attrs": "read-write"},
        ),
        ("ada@%2Frun%2Fpostgresql/crm", {"user": "ada", "host": "/run/postgresql", "dbname": "crm"}),
        (
            "ada@/crm?host=/run/postgresql&port=5433",
            {"user": "ada", "host": "/run/postgresql", "port": "5433", "dbname": "crm"},
        ),
        ("ada@[::1]:5433/crm", {"user": "ada", "host": "::1", "port": "5433", "dbname": "crm"}),
        (
            "db.example/crm?user=ada&password=hunter2",
            {"user": "ada", "password": "hunter2", "host": "db.example", "dbname": "crm"},
        ),
        ("/crm?service=club", {"dbname": "crm", "service": "club"}),
    ],
)
def test_a_database_url_means_the_same_to_sqlalchemy_and_to_libpq(written: str, meant: dict[str, str]) -> None:
    url = database_url("WAREHOUSE_URL", f"postgresql://{written}\n")
    engine = create_engine(url)
    _, arguments = engine.dialect.create_connect_args(engine.url)
    assert {name: str(value) for name, value in arguments.items()} == meant
    assert parse_dsn(format_libpq_url(url)) == meant


def test_in_the_query_of_sqlalchemys_spelling_a_plus_sign_is_a_space() -> None:
    url = database_url("WAREHOUSE_URL", "postgresql+psycopg2://ada:a+b?c+d@db/crm?options=-c+a%2Bb")
    meant = {"user": "ada", "password": "a+b?c+d", "host": "db", "dbname": "crm", "options": "-c a+b"}
    assert parse_dsn(format_libpq_url(url)) == meant


@example(role="ada", password="open", database=" ")
@given(role=WORDS, password=WORDS, database=WORDS)
def test_any_role_password_and_database_arrive_as_they_are(role: str, password: str, database: str) -> None:
    written = f"postgresql://{quote(role, safe='')}:{quote(password, safe='')}@db/{quote(database, safe='')}"
    url = parse_database_url("WAREHOUSE_URL", written)
    assert (url.username, url.password, url.database) == (role, password, database)
    stored = format_sqlalchemy_url(url)
    assert make_url(stored) == parse_database_url("WAREHOUSE_URL", stored) == url
    meant = {"user": role, "password": password, "host": "db", "dbname": database}
    assert parse_dsn(format_libpq_url(stored)) == meant


def test_a_url_without_a_role_is_of_whoever_runs_the_process() -> None:
    with clean_environment(WAREHOUSE_URL="postgresql:///?host=/run/postgresql", PGUSER="thandi"):
        assert make_url(Settings.from_environment().warehouse_url or "").username == "thandi"


@pytest.mark.parametrize("name", [*DATABASES, *SOURCES])
@pytest.mark.parametrize(
    "malformed",
    [
        "postgresql://ada:hunter2@db:port/crm",
        "postgresql://ada:hunter2",
        "postgresql://ada:hunter2@[::1/crm",
        "postgresql://ada:x@hunter2@db/crm",
        "postgresql://ada:12/hunter2@db/crm",
        "postgresql://ada:12?hunter2/x@db/crm",
        "postgresql://ada:%zzhunter2@db/crm",
        "postgresql://ada:hunter2@db/crm?nonsense=1",
    ],
)
def test_a_malformed_url_is_refused_by_name_without_its_password(name: str, malformed: str) -> None:
    with pytest.raises(SettingError) as error:
        database_url(name, malformed)
    assert str(error.value).startswith(f"{name} is no database URL such as postgresql://role:password@host:5432/")
    assert "hunter2" not in str(error.value)
    assert error.value.__suppress_context__ or error.value.__context__ is None


@pytest.mark.parametrize("name", DATABASES)
@pytest.mark.parametrize("other", ["mysql://ada:hunter2@db/crm", "host=db password=hunter2", "ada:hunter2@db/crm"])
def test_what_names_no_postgresql_is_refused(name: str, other: str) -> None:
    with pytest.raises(SettingError, match=f"{name} is no database URL") as error:
        database_url(name, other)
    assert "hunter2" not in str(error.value)


def test_a_source_is_a_folder_or_a_postgresql_database() -> None:
    with pytest.raises(SettingError, match="CRM_SOURCE must be a folder or a postgresql:// URL"):
        database_url("CRM_SOURCE", "mysql://ada:hunter2@db/crm")


@pytest.mark.parametrize("name", [*SOURCES, "LAKE_URL"])
@pytest.mark.parametrize(
    "malformed",
    [
        "ada:hunter2@db/crm",
        "postgresql:/ada:hunter2@db/crm",
        "postgres ql://ada:hun/hunter2@db/crm",
        "host=db password=hunter2",
    ],
)
def test_a_folder_that_may_be_a_malformed_url_is_refused_unless_it_is_there(
    name: str, malformed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match=f"^{name} is neither a folder that is there nor a URL such as") as error:
        database_url(name, malformed)
    assert "hunter2" not in str(error.value)
    (tmp_path / "a:b@c").mkdir()
    assert parse_folder(name, "a:b@c") == Path("a:b@c")


def test_settings_that_are_printed_show_no_password() -> None:
    secret = "postgresql://ada:hunter2@db/crm"
    with clean_environment(**dict.fromkeys((*DATABASES, *SOURCES), secret)):
        assert "hunter2" not in repr(Settings.from_environment())
