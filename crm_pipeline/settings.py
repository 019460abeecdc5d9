"""All settings: environment variables with their meaning and defaults, read and validated here alone."""

import getpass
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote_to_bytes

from psycopg2 import ProgrammingError  # type: ignore[import-untyped]
from psycopg2.extensions import parse_dsn  # type: ignore[import-untyped]
from sqlalchemy import URL, make_url

from crm_pipeline.vocabulary import Service

DEFAULT_MEMORY = "1GB"
FORBIDDEN_PATH_PATTERN = re.compile(r"[\[\]*?%=^|\\\x00-\x1f\x7f]")
"""Characters that DuckDB takes for a pattern or Delta Lake for another path: the lake would be elsewhere."""
MIN_ERASURE_KEY_LENGTH = 32
MAX_LEAD = timedelta(days=1)
"""How far ahead of the clock a run's hour may be."""
ERASURE_KEY_FILE = "erasure_key"
"""In a home with the embedded server: the key that is made with the first tombstone, unless ERASURE_KEY is set."""
SAMPLE_FILE = "sample.json"
"""In a folder of synthetic clubs: how they were made, and `until`, when their data end. A copy makes a home a demo."""
EXAMPLE_URL = "postgresql://role:password@host:5432/database"
DATABASE_DRIVER = "postgresql+psycopg2"
DATABASE_SCHEME_PATTERN = re.compile(r"\s*postgres(ql)?(?P<driver>\+\w+)?://", re.IGNORECASE)
DATABASE_URL_PATTERN = re.compile(
    DATABASE_SCHEME_PATTERN.pattern + r"(?P<address>([^@/:]*(:[^@/]*)?@)?[^@/?]*(/[^@?]*)?)(?P<query>(\?.*)?)",
    re.IGNORECASE | re.DOTALL,
)
"""Stricter than libpq, which takes the end of a password with an unescaped sign for host and database."""
ENVIRONMENT_VARIABLES: dict[str, str] = {
    "SCL_SOURCE": "Where SCL is read from: a PostgreSQL URL, or a folder of <Table>.csv, .parquet or .jsonl",
    "TEETIME_SOURCE": "Where TeeTime is read from",
    "MESSAGING_SOURCE": "Where Messaging is read from",
    "CRM_SOURCE": "Where the CRM is read from",
    "LAKE_URL": "Folder of the lake; <home>/lake where unset",
    "WAREHOUSE_URL": "PostgreSQL that gets the schema crm; the embedded server where unset",
    "WAREHOUSE_ADMIN_URL": "Its administrator: for `database`, `forget`, `retention` and its job, never for a refresh",
    "DAGSTER_PG_URL": "PostgreSQL for Dagster's own tables; the embedded server where unset",
    "CRM_PIPELINE_HOME": "Working folder: embedded server, lake, Dagster's files; data/local where unset",
    "CRM_PIPELINE_MEMORY": (
        f"What DuckDB may take before it spills to <home>/spill, such as 4GB; {DEFAULT_MEMORY} where unset"
    ),
    "ERASURE_KEY": (
        "Secret of 32 characters or more that tombstones of the forgotten are keyed with; never change it."
        f" Unset with the embedded server, one is made when it is needed and kept in <home>/{ERASURE_KEY_FILE}"
    ),
    "CRM_PIPELINE_AS_OF": "Pins every run's as_of, ticks included; ISO 8601",
    "CRM_PIPELINE_NOTIFY": "Who is told when a run fails: `module:function`, called with an Alert; the log where unset",
}
"""Variable and meaning, as the data dictionary shows them."""


class SettingError(ValueError):
    """A setting that cannot be used; the message has its name and the reason."""


@dataclass(frozen=True)
class Settings:
    """The settings of one process."""

    home: Path
    sources: Mapping[Service, str] = field(repr=False)
    lake_url: str
    warehouse_url: str | None = field(repr=False)
    dagster_pg_url: str | None = field(repr=False)
    as_of: datetime | None
    is_replay: bool = False
    """Whether the lake is a copy of what was known at `as_of` and nothing is extracted; set by the run, no variable."""
    warehouse_admin_url: str | None = field(default=None, repr=False)
    erasure_key: str | None = field(default=None, repr=False)
    notify: str | None = None
    memory: str = DEFAULT_MEMORY

    @classmethod
    def from_environment(cls) -> "Settings":
        """Returns the settings of the environment variables, with defaults for the unset ones.

        Raises:
            SettingError: a value cannot be used.
        """
        home = Path(os.environ.get("CRM_PIPELINE_HOME") or "data/local").absolute()
        lake_url = str(parse_folder("LAKE_URL", os.environ.get("LAKE_URL") or str(home / "lake")).absolute())
        for name, path in (("CRM_PIPELINE_HOME", str(home)), ("LAKE_URL", lake_url)):
            _validate_lake_path(name, path)
        notify = os.environ.get("CRM_PIPELINE_NOTIFY") or None
        if notify and not all(notify.partition(":")):
            raise SettingError(f"CRM_PIPELINE_NOTIFY: {notify!r} is not module:function")
        return cls(
            home=home,
            sources=_read_sources(),
            lake_url=lake_url,
            warehouse_url=_read_database_url("WAREHOUSE_URL"),
            dagster_pg_url=_read_database_url("DAGSTER_PG_URL"),
            as_of=_find_pinned_hour(home),
            warehouse_admin_url=_read_database_url("WAREHOUSE_ADMIN_URL"),
            erasure_key=_validate_erasure_key(_read_erasure_key(home)),
            notify=notify,
            memory=_validate_memory(os.environ.get("CRM_PIPELINE_MEMORY") or DEFAULT_MEMORY),
        )


def build_source_variable_name(service: Service) -> str:
    """Returns the name of the variable with a service's source."""
    return f"{service}_SOURCE"


def build_source_pool_name(service: Service) -> str:
    """Returns the name of the Dagster pool that limits how many runs read a service at once."""
    return f"{service.lower()}_source"


def parse_folder(name: str, value: str) -> Path:
    """Returns the folder that a path or a file:// URL names, every character of a path as it is.

    Raises:
        SettingError: the value of setting `name` is another kind of URL, or one that names no local file, or may be a
            malformed one with a password, which a message about a missing folder would show.
    """
    scheme, is_url, rest = value.partition("://")
    if not is_url or not re.fullmatch("[A-Za-z][A-Za-z0-9+.-]*", scheme):
        if re.search(":.*@|password *=", value, re.DOTALL | re.IGNORECASE) and not Path(value).exists():
            raise SettingError(f"{name} is neither a folder that is there nor a URL such as {EXAMPLE_URL}")
        return Path(value)
    host, _, path = rest.partition("/")
    if scheme.lower() != "file":
        raise SettingError(f"{name} must be a folder" + (" or a postgresql:// URL" if name.endswith("_SOURCE") else ""))
    if host.lower() not in ("", "localhost") or re.search("[?#]", path):
        raise SettingError(f"{name} must be file:/// and a path, with %3F for a question mark and %23 for a hash")
    return Path(os.fsdecode(b"/" + unquote_to_bytes(path)))


def parse_database_url(name: str, value: str) -> URL:
    """Returns the SQLAlchemy URL, for psycopg2, of a PostgreSQL URL in any spelling that libpq or SQLAlchemy takes.

    Raises:
        SettingError: the value of setting `name` is no such URL; the message quotes nothing of it.
    """
    parts = _split_database_url(name, value)
    if "service" not in parts:
        parts.setdefault("user", os.environ.get("PGUSER") or getpass.getuser())
        parts.setdefault("dbname", os.environ.get("PGDATABASE") or parts["user"])
    role, password, database = (parts.pop(key, None) for key in ("user", "password", "dbname"))
    host, port = parts.get("host", ""), parts.get("port", "")
    if not re.fullmatch(r"[\w.:-]*", host) or "," in port:
        # Sockets and lists of hosts stay among the options: a URL of SQLAlchemy's has no other place for them.
        return URL.create(DATABASE_DRIVER, role, password, database=database, query=parts)
    options = {key: text for key, text in parts.items() if key not in ("host", "port")}
    return URL.create(DATABASE_DRIVER, role, password, host or None, int(port) if port else None, database, options)


def _split_database_url(name: str, value: str) -> dict[str, str]:
    """Returns libpq's parameters; as libpq reads the URL, hosts, options and escapes mean what they mean to psql."""
    match, parts = DATABASE_URL_PATTERN.fullmatch(value.strip()), dict[str, str]()
    try:
        if match:
            # With a driver it is SQLAlchemy's spelling, in whose query a plus sign is a space.
            query = match["query"].replace("+", "%20") if match["driver"] else match["query"]
            address = (match["address"] + query).replace(" ", "%20")
            parts = {key: text for key, text in parse_dsn(f"postgresql://{address}").items() if text}
    except (ProgrammingError, ValueError):  # their text quotes the URL with its password
        match = None
    if not match or re.search("[^0-9,]", parts.get("port", "")):
        raise SettingError(
            f"{name} is no database URL such as {EXAMPLE_URL};"
            " in a role or a password, @ is written %40, / is %2F and : is %3A"
        )
    return parts


def format_sqlalchemy_url(url: URL) -> str:
    """Returns the URL with its password as SQLAlchemy takes it; a database may end in a blank."""
    return url.render_as_string(hide_password=False).replace(" ", "%20")


def format_libpq_url(url: URL | str) -> str:
    """Returns the URL with its password as libpq takes it, in whose query a plus sign is no space."""
    rendered = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    address, mark, query = rendered.partition("?")
    return address.replace(" ", "%20") + mark + query.replace("+", "%20")


def _read_database_url(name: str) -> str | None:
    value = os.environ.get(name)
    return format_sqlalchemy_url(parse_database_url(name, value)) if value else None


def _read_sources() -> dict[Service, str]:
    sources = {}
    for service in Service:
        name = build_source_variable_name(service)
        if value := os.environ.get(name):
            is_database = DATABASE_SCHEME_PATTERN.match(value)
            sources[service] = str(_read_database_url(name) if is_database else parse_folder(name, value))
    return sources


def format_path(path: Path | str) -> str:
    """Returns a path as a message shows it, in one line: what cannot be printed is escaped."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(path))


def _validate_lake_path(name: str, path: str) -> None:
    if unusable := sorted(set(FORBIDDEN_PATH_PATTERN.findall(path))):
        shown = " ".join(map(format_path, unusable))
        raise SettingError(f"{name}: {format_path(path)} contains {shown}, which no file list can hold")


def read_sample_end(folder: Path) -> datetime | None:
    """Returns when the data of the sample in a folder end, the hour at which its demo stays; None where there is none.

    Raises:
        SettingError: SAMPLE_FILE is damaged.
    """
    file = folder / SAMPLE_FILE
    if not file.is_file():
        return None
    try:
        until = str(json.loads(file.read_bytes())["until"])
    except (OSError, ValueError, KeyError, TypeError):
        raise SettingError(f"{format_path(file)} does not say when the data of the sample end") from None
    return parse_time(format_path(file), until)


def _find_pinned_hour(home: Path) -> datetime | None:
    pinned, end = os.environ.get("CRM_PIPELINE_AS_OF"), read_sample_end(home)
    as_of = parse_hour("CRM_PIPELINE_AS_OF", pinned) if pinned else end
    if end and as_of != end:
        raise SettingError(
            f"{format_path(home)} is a demo, whose data end at {format_time(end)}: leave out --as-of and"
            " CRM_PIPELINE_AS_OF, or give another --home"
        )
    return as_of


def _read_erasure_key(home: Path) -> str | None:
    file = home / ERASURE_KEY_FILE
    if (key := os.environ.get("ERASURE_KEY")) or os.environ.get("WAREHOUSE_URL") or not file.is_file():
        return key or None
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingError(f"{format_path(file)} cannot be read: {error.strerror}") from None


def _validate_erasure_key(value: str | None) -> str | None:
    if value is not None and len(value) < MIN_ERASURE_KEY_LENGTH:
        raise SettingError(f"ERASURE_KEY has fewer than {MIN_ERASURE_KEY_LENGTH} characters")
    return value


def _validate_memory(value: str) -> str:
    if not re.fullmatch(r"[1-9]\d*(\.\d+)? ?[MG]i?B", value):
        raise SettingError(f"CRM_PIPELINE_MEMORY: {value!r} is not an amount of memory such as 512MB or 4GB")
    return value


def parse_time(name: str, value: str) -> datetime:
    """Returns an ISO 8601 time in UTC; a time without an offset is UTC.

    Raises:
        SettingError: the value of setting `name` is no such time.
    """
    try:
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise SettingError(f"{name}: {value!r} is not an ISO 8601 time such as 2026-03-31T12:00:00Z") from error


def parse_hour(name: str, value: str) -> datetime:
    """Returns the hour of a run, as `parse_time` reads it.

    Raises:
        SettingError: the value is no time, or one so far ahead of the clock that every later run would be before it.
    """
    hour = parse_time(name, value)
    if hour > datetime.now(UTC) + MAX_LEAD:
        raise SettingError(f"{name}: {value} is more than a day ahead of the clock")
    return hour


def format_time(time: datetime) -> str:
    """Returns a time in UTC as ISO 8601, such as 2026-03-31T12:00:00Z."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
