"""What EXPLAIN tells a club's login depends on its own club's rows alone."""

import random
from collections.abc import Iterator, Sequence
from typing import Final

import pytest
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Double, Engine, Numeric, Table, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from crm_pipeline.resources.warehouse.bi_access import (
    BI_VIEWS,
    REDIRECT_COLUMNS,
    BiLogin,
)
from crm_pipeline.resources.warehouse.schema import quote_literal
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.outputs.identity import profile_ids
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.servers.bi_logins import ask_as, granted
from crm_pipeline_tests.fixtures.servers.warehouses import Row, a_row, ask, publish

OURS, THEIRS = "estimates ours", "estimates theirs"
PEOPLE: Final = 300
QUERIES: Final = 200 if SOAK else 60
PLANTED: Final = {
    column: [f"{column} {number}" for number in range(5)]
    for column in ("email", "phone_number", "first_name", "last_name", "display_name")
}
"""25 values that only the other club's people have, each of them many."""


def a_uuid(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"


def a_club(tenant: str, people: int, names: dict[str, list[str]]) -> dict[Table, list[Row]]:
    """The tables of a club whose people have these values in turn."""
    profiles = [
        a_row(customer_profiles, tenant_id=tenant, id=a_uuid(n), engagement_score=n % 7)
        | {column: values[n % len(values)] for column, values in names.items()}
        for n in range(people)
    ]
    events = [
        a_row(customer_timeline, tenant_id=tenant, event_id=f"e{n}", profile_id=a_uuid(n % people), amount_cents=n % 50)
        for n in range(2 * people)
    ]
    ids = [
        a_row(profile_ids, tenant_id=tenant, profile_id=a_uuid(n), redirects_to=a_uuid(0) if n % 3 else None)
        for n in range(people)
    ]
    return {customer_profiles: profiles, customer_timeline: events, profile_ids: ids}


@pytest.fixture(scope="module")
def login(prepared: Warehouse, administrator: Engine) -> Iterator[BiLogin]:
    """The login of a club beside which another is published."""
    ours = {column: [f"our {column} {number}" for number in range(40)] for column in PLANTED}
    publish(prepared, OURS, a_club(OURS, PEOPLE, ours), 1)
    publish(prepared, THEIRS, a_club(THEIRS, 10, {}), 1)
    with granted(administrator, prepared, OURS) as logins:
        yield logins[OURS]


def analyze(administrator: Engine) -> None:
    """All statistics, as an administrator brings them up to date."""
    with administrator.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("vacuum (analyze)"))


def random_query(choice: random.Random) -> str:
    """A query of the declared columns of a club's views, with values of this club, of the other and of none."""
    names = choice.sample(sorted(BI_VIEWS), choice.choice((1, 1, 2)))
    columns = {name: list_columns(name) for name in names}
    conditions = [
        random_condition(choice, f"{name}.{column.name}", column)
        for name in names
        for column in choice.sample(columns[name], choice.randrange(3))
    ]
    if len(names) > 1:
        left, right = (f"{name}.{choice.choice(columns[name]).name}" for name in names)
        conditions.append(f"{left}::text = {right}::text" if choice.random() < 0.7 else f"{left}::text < {right}::text")
    grouped = f"{names[0]}.{choice.choice(columns[names[0]]).name}"
    where = f" where {' and '.join(conditions)}" if conditions else ""
    return choice.choice(
        (
            f"select * from {', '.join(names)}{where}",
            f"select {grouped}, count(*) from {', '.join(names)}{where} group by 1",
            f"select distinct {grouped} from {', '.join(names)}{where} order by 1 limit 10",
        )
    )


def list_columns(view: str) -> list[Column[object]]:
    table = BI_VIEWS[view][0]
    return [column for column in table.columns if table is not profile_ids or column.name in REDIRECT_COLUMNS]


def random_condition(choice: random.Random, name: str, column: Column[object]) -> str:
    if choice.random() < 0.2:
        return f"{name} is not null"
    number = choice.randrange(60)
    values = {
        Boolean: "true",
        UUID: quote_literal(a_uuid(number)),
        DateTime: f"timestamptz '2026-03-31' + interval '{number} hours'",
        **dict.fromkeys((BigInteger, Double, Numeric), str(number)),
        **dict.fromkeys((JSONB, ARRAY), "'{}'"),
    }
    texts = (f"{column.name} {number % 5}", f"our {column.name} {number % 5}", "nobody's", "plain")
    value = values.get(type(column.type), quote_literal(choice.choice(texts)))
    return f"{name} {choice.choice(('=', '<', '>=', '<>'))} {value}"


def plans(login: BiLogin, queries: Sequence[str]) -> dict[str, list[tuple[object, ...]]]:
    """What EXPLAIN says of each query."""
    return dict(zip(queries, ask_as(login, *(f"explain (verbose) {query}" for query in queries)), strict=True))


def test_a_clubs_plans_are_the_same_whoever_else_is_in_the_warehouse(
    login: BiLogin, prepared: Warehouse, administrator: Engine
) -> None:
    choice = random.Random(22)  # the same queries each time
    wanted = [
        f"select 1 from customer_profiles where {column} = {quote_literal(value)}"
        for column, values in PLANTED.items()
        for value in values
    ]
    queries = [*wanted, *(random_query(choice) for _ in range(QUERIES))]
    analyze(administrator)
    before = plans(login, queries)
    publish(prepared, THEIRS, a_club(THEIRS, 5 * PEOPLE, PLANTED), 2)
    analyze(administrator)
    held = ask(
        prepared, "select count(*) from crm.customer_profiles where email = any(:planted)", planted=PLANTED["email"]
    )
    assert held == [(5 * PEOPLE,)]
    assert plans(login, queries) == before


def test_no_statistics_are_kept_of_all_clubs_together(
    login: BiLogin, prepared: Warehouse, administrator: Engine
) -> None:
    assert login
    analyze(administrator)
    kept = "select inherited, count(*) > 100 from pg_stats where schemaname = 'crm' group by 1"
    assert ask(prepared, kept) == [(False, True)]
