"""Odd values a PostgreSQL database can hold: they end as those of files do."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, make_url

from crm_pipeline.domain.ingest.row_validation import parse_rows
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.tables.sources import teetime
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.input.cases import Case
from crm_pipeline_tests.fixtures.input.delivered import a_connection
from crm_pipeline_tests.fixtures.input.text_rows import GOLFER, INJECTION, RIGHT_TO_LEFT, TEN_MEGABYTES

CREATE = """
    create table "Player" ("id" text, "tenantId" text, "authUserId" uuid, "email" bytea, "phoneNumber" jsonb,
        "firstName" text, "lastName" text, "handicap" numeric,
        "homeClubId" integer, "createdAt" timestamptz, "updatedAt" timestamptz)"""


def player(name: str, *faults: str, means: dict[str, Any] | None = None, **values: Any) -> Case:  # noqa: ANN401
    return Case(name, teetime.player, values, means or {}, faults)


NO_TIMES = (
    "infinity",
    "-infinity",
    "9999-12-31 23:59:59+00",
    "294276-12-31",
    "0001-01-01 BC",
    "4713-01-01 BC",
    "0001-01-01",
)
PLAYERS = [
    *(player(f"updated {text}", "updatedAt:NOT_A_TIME", updatedAt=text) for text in NO_TIMES),
    *(
        player(f"handicap {text}", "handicap:NOT_A_NUMBER", handicap=text)
        for text in ("NaN", "Infinity", "-Infinity", "12.34")
    ),
    player("handicap -0.0", handicap="-0.0", means={"handicap": Decimal("0.0")}),
    player("handicap 12.3000", handicap="12.3000", means={"handicap": Decimal("12.3")}),
    player("handicap 99999", "handicap:NOT_A_NUMBER", handicap="99999"),
    player("no id", "id:MISSING_KEY", id=None),
    player("empty id", "id:MISSING_KEY", id="", means={"id": None}),
    player("no club", "tenantId:MISSING_TENANT", tenantId=None, means={"tenantId": ""}),
    player("10 MB", "lastName:TOO_LONG", lastName=TEN_MEGABYTES),
    player("emoji", firstName=GOLFER, lastName=RIGHT_TO_LEFT, means={"firstName": GOLFER.replace("\u200d", "")}),
    player("injection", firstName=INJECTION, lastName="\\'; select 1; --", homeClubId=-1, means={"homeClubId": "-1"}),
    player(INJECTION, "createdAt:MISSING_VALUE", createdAt=None),
    player("other types", authUserId="00000000-0000-0000-0000-000000000001", phoneNumber='{"a": 1}'),
    player("twin", updatedAt="2026-02-01T00:00:00Z", means={"updatedAt": datetime(2026, 2, 1, tzinfo=UTC)}),
    player("twin", "id:DUPLICATE_KEY", firstName="Eve"),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database of players without a key or any other constraint."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("odd"))
    server.start()
    engine = create_engine(make_url(server.url("postgres")), poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(CREATE)
        for case in PLAYERS:
            row = case.delivered()
            names, places = ", ".join(f'"{name}"' for name in row), ", ".join(["%s"] * len(row))
            connection.exec_driver_sql(f'insert into "Player" ({names}) values ({places})', tuple(row.values()))
    yield server.url("postgres")
    server.stop()


def test_odd_values_of_a_database_are_kept_or_set_aside_for_their_reasons(url: str) -> None:
    con = a_connection()
    delivery = Sources({Service.TEETIME: url}).read_snapshot(con, Service.TEETIME, only_table=teetime.player)
    parse_rows(con, teetime.player, delivery.tables["Player"].relation, "read")
    columns = ", ".join(column.key for column in teetime.player.columns)
    rows = con.sql(f"select {columns}, _problems from read").fetchall()
    found = [(row[:-1], sorted(":".join(problem.split(":")[:2]) for problem in row[-1])) for row in rows]
    sound = {tuple(case.kept().values()) for case in PLAYERS if not case.faults}
    assert {values for values, faults in found if not faults} == sound
    named = Counter((values[0], *faults) for values, faults in found)
    assert named == Counter((case.kept()["id"], *case.faults) for case in PLAYERS)
