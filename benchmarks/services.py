"""Sample services for the benchmarks: made once per size, loaded into PostgreSQL, and changed as an hour changes them.

`observed` runs the pipeline on them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import Engine, Table, create_engine

from benchmarks.results import PLACE
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.postgres.source_databases import load_service
from crm_pipeline.sample import generate_sample
from crm_pipeline.settings import build_source_variable_name, parse_time
from crm_pipeline.tables import list_source_tables
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.servers.service_databases import new_database

HOURS: Final = ("2026-03-31T15:00:00Z", "2026-03-31T16:00:00Z", "2026-03-31T17:00:00Z")
"""In none of the sample's time zones is midnight between them."""
_UNCHANGED: Final = (crm.tenant, crm.identity_override, crm.suppressed_identifier)
_PERSON: Final = """
    email = case fate when 0 then 'new.' || email else email end,
    "phoneNumber" = case fate when 1 then left("phoneNumber", -2) || lpad((lot % 100)::text, 2, '0')
        else "phoneNumber" end,
    "lastName" = case fate when 2 then "lastName" || 'son' else "lastName" end, """
_CHANGES: Final = {
    "Member": _PERSON + """"membershipTier" = case fate when 3 then 'Full' else "membershipTier" end""",
    "Player": _PERSON + "handicap = case fate when 3 then handicap + 0.1 else handicap end",
    "Contact": _PERSON + """"emailOptIn" = "emailOptIn" <> (fate = 3)""",
    "Lead": _PERSON + "origin = case fate when 3 then 'website' else origin end",
    "Booking": "status = case status when 'BOOKED' then 'PLAYED' else status end, "
    '"priceCents" = "priceCents" + 100',
    "MessageEvent": "kind = case kind when 'SENT' then 'OPENED' else 'CLICKED' end",
    "Payment": """status = 'SETTLED', "amountCents" = "amountCents" + 100""",
    "TierChange": """"toTier" = 'Full' """,
    "HandicapUpdate": "handicap = handicap + 0.1",
    "CompetitionEntry": "score = score + 1",
    "Note": "body = body || ' Again.'",
    "ProfileTag": "tag = tag || '-2'",
    "CampaignInteraction": """"campaignId" = "campaignId" || '-2' """,
    "Referral": '''"occurredAt" = "occurredAt"''',
}
_NEW: Final = {"Booking": ("bookedAt",), "MessageEvent": ("occurredAt",), "Payment": ("dueAt", "paidAt")}
"""Tables that gain a row for every ten that change, and the columns that say when the new one came about."""


class Size(NamedTuple):
    """How large a sample is."""

    people: int
    events: int
    tenants: int


def sample_of(size: Size) -> Path:
    """The folder of the sample of this size, made where it is not there; the largest takes a while."""
    folder = PLACE / "samples" / "-".join(map(str, size))
    if not folder.exists():
        draft = folder.with_suffix(".new")
        # Typed tables hold no faulty values.
        generate_sample(**size._asdict(), seed=1, out=draft, until=parse_time("until", HOURS[0]), faults=0.0)
        draft.rename(folder)
    return folder


@contextmanager
def databases(home: Path, folders: Path) -> Iterator[dict[str, str]]:
    """One database per service on a server of their own, with the sample's rows: the settings that point at them."""
    server = EmbeddedPostgres(home)
    server.start()
    try:
        settings = {}
        for service in Service:
            engine = new_database(server, f"service_{service.lower()}")
            load_service(engine, service, folders)
            execute(engine, "vacuum analyze")
            settings[build_source_variable_name(service)] = engine.url.render_as_string(hide_password=False)
        yield settings
    finally:
        server.stop()


def rows_in(sources: dict[str, str]) -> int:
    """How many rows all services hold together."""
    counted = 0
    for service in Service:
        engine = create_engine(sources[build_source_variable_name(service)])
        with engine.connect() as connection:
            for table in list_source_tables(service):
                counted += connection.exec_driver_sql(f'select count(*) from "{table.name}"').scalar_one()
        engine.dispose()
    return counted


def change(sources: dict[str, str], at: str, share: float) -> None:
    """Let an hour pass in all clubs: that share of every table's rows changes, and some are new; once for each hour."""
    for service in Service:
        engine = create_engine(sources[build_source_variable_name(service)])
        for table in list_source_tables(service):
            if table not in _UNCHANGED:
                execute(engine, *_an_hour_of(table, at, share))
        engine.dispose()


def _an_hour_of(table: Table, at: str, share: float) -> Iterator[str]:
    yield f"""
        update "{table.name}" t set {_CHANGES[table.name]}, "updatedAt" = '{at}'
        from (select id as changed, lot, lot / 1000000 % 4 as fate
              from (select id, abs(hashtext(id::text || '{at}')::bigint) as lot from "{table.name}")
              where lot % 1000000 < {share * 1e6:.0f}) as drawn
        where t.id = drawn.changed"""
    if times := _NEW.get(table.name):
        values = ", ".join(f"'{name}', '{at}'::text" for name in (*times, "updatedAt"))
        yield f"""
            insert into "{table.name}"
            select (jsonb_populate_record(t, jsonb_build_object('id', 'new-{at}-' || id, {values}))).*
            from "{table.name}" t
            where abs(hashtext(id || 'new{at}')::bigint) % 1000000 < {share * 1e5:.0f} and id not like 'new-%'"""


def execute(engine: Engine, *statements: str) -> None:
    """Run the statements, each in a transaction of its own."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))
