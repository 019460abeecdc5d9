"""What an extraction costs: the first one of a large service, and an hourly one with 0.1 % of its rows changed.

`python -m benchmarks.extraction [--rows N ...]` fills MessageEvent in an embedded PostgreSQL, extracts it twice, each
time in a process of its own, and prints seconds and peak memory; next to the first a plain COPY of the table to nowhere
by psql, which is what the server alone needs to hand the rows over.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, create_engine, make_url, text

from benchmarks.apart import measured, tell
from benchmarks.results import AT_MOST, Row, keep
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.postgres.programs import find_program
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.extract import extract_service
from crm_pipeline.steps.validate import quarantine_rows
from crm_pipeline.tables import list_source_tables
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service

SIZES = (1_000_000, 2_000_000, 5_000_000)
NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
CLUBS, CONTACTS = 200, 50_000
FILL = """
    insert into "Contact" (id, "tenantId", email, "emailOptIn", "smsOptIn", "pushOptIn", "whatsappOptIn", "createdAt",
            "updatedAt")
        select 'c' || i, 'club-' || i % 200, 'c' || i || '@example.com', true, false, false, false,
            '2025-01-01', '2025-01-01' from generate_series(0, {contacts} - 1) i;
    insert into "MessageEvent"
        select 'e' || i, 'club-' || i % {contacts} % 200, 'c' || i % {contacts}, 'm' || i % 400000, 'spring-' || i % 40,
            'EMAIL', 'OPENED', i % 3 = 0, null, '2025-06-01'::timestamptz + i * interval '3 s',
            '2025-06-01'::timestamptz + i * interval '3 s' from generate_series(0, {rows} - 1) i;
    vacuum analyze"""
CHANGE = """
    update "MessageEvent" set kind = 'CLICKED', "updatedAt" = '2026-03-31T13:30Z'
    where abs(hashtext(id)) % 1000 = 7"""


def main() -> None:
    """Measure every size asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=SIZES)
    parser.add_argument("--child", nargs=3, metavar=("URL", "FOLDER", "HOURS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _extract(*arguments.child)
        return
    for rows in arguments.rows:
        keep(__spec__.name, _measure(rows), rows)


def _measure(rows: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder) / "server")
        server.start()
        try:
            engine = _fill(server, rows)
            copied = _copy_to_nowhere(engine)
            runs = {"first": _child(engine, folder, 0), "nothing changed": _child(engine, folder, 1)}
            with engine.connect() as connection:
                connection.execute(text(CHANGE))
            runs["0.1 % changed"] = _child(engine, folder, 2)
            runs["every key swept"] = _child(engine, folder, 26)
        finally:
            server.stop()
    first = runs["first"][0]
    against = {"first": ("psql COPY to nowhere", copied)}
    return [
        Row(
            *(f"extraction, {what}", rows, "rows", seconds, *against.get(what, ("the first", first)), AT_MOST),
            peak_mb=peak,
        )
        for what, (seconds, peak) in runs.items()
    ]


def _fill(server: EmbeddedPostgres, rows: int) -> Engine:
    administration = create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
    with administration.connect() as connection:
        connection.execute(text("create database messaging"))
    engine = create_engine(make_url(server.url("postgres")).set(database="messaging"), isolation_level="AUTOCOMMIT")
    source_metadata.create_all(engine, list_source_tables(Service.MESSAGING))
    with engine.connect() as connection:
        for statement in FILL.format(rows=rows, contacts=CONTACTS).split(";"):
            connection.execute(text(statement))
    return engine


def _clubs(folder: Path) -> str:
    """The CRM as a folder, with the clubs and nothing else."""
    folder.mkdir()
    for table in list_source_tables(Service.CRM):
        rows = [f"club-{i},Club {i},GB,GBP,Europe/London,ACTIVE,,2025-01-01" for i in range(CLUBS)]
        header = ",".join(column.name for column in table.columns)
        lines = [header, *(rows if table is crm.tenant else [])]
        (folder / f"{table.name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder)


def _copy_to_nowhere(engine: Engine) -> float:
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    command = [str(find_program("psql")), url, "-c", 'copy "MessageEvent" to stdout (format binary)']
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    return time.perf_counter() - began


def _child(engine: Engine, folder: str, hours: int) -> tuple[float, float]:
    """Seconds and peak memory."""
    url = engine.url.render_as_string(hide_password=False)
    found = measured(__spec__.name, "--child", url, folder, str(hours))
    return found["seconds"], found["peak"]


def _extract(url: str, folder: str, hours: str) -> None:
    """In the child: one extraction with its quarantine; tells seconds and peak memory."""
    import pandas as pd  # noqa: F401, PLC0415  which pyarrow loads when it is first asked for anything: start-up, not work

    lake = Lake(f"{folder}/lake", Path(folder) / "spill")
    with closing(lake.connect()) as con:
        step = RunContext(con, lake, NOON + timedelta(hours=int(hours)), "run", None)
        if hours == "0":
            extract_service(step, Sources({Service.CRM: _clubs(Path(folder) / "crm")}), Service.CRM)
        began = time.perf_counter()
        extract_service(step, Sources({Service.MESSAGING: url}), Service.MESSAGING)
        quarantine_rows(step, Service.MESSAGING)
        seconds = time.perf_counter() - began
        set_aside = step.count_quarantined("messaging_snapshot")
    if set_aside:
        sys.exit(f"the rows should all be valid: {set_aside}")
    tell(seconds=seconds, peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
