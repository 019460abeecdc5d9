"""Whatever is delivered in any column: nothing fails, every row is accounted for, no consent and no merge follows."""

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crm_pipeline.tables import list_source_tables
from crm_pipeline.tables.outputs import identity, profiles
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import messaging
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.histories.incremental import Hours
from crm_pipeline_tests.fixtures.histories.moving_services import PEOPLE, MovingServices, delivered
from crm_pipeline_tests.fixtures.homes.soak import SOAK

UNTIL: Final = datetime(2026, 3, 24, 8, tzinfo=UTC)
SEEDS: Final = range(60 if SOAK else 1)
TEXTS: Final = (
    *(
        "",
        " ",
        "\t",
        "\u200b",
        "null",
        "N/A",
        "-",
        "0",
        "-1",
        "+7",
        "1.0",
        "1e3",
        "2.78256E+10",
        "true",
        "false",
        "ACTIVE",
    ),
    *(
        "9223372036854775807",
        "9" * 40,
        "99999999999999",
        "9999-12-31",
        "2026-03-29T01:30",
        "1899-01-01",
        "x" * 201,
        "x\0y",
    ),
    *(
        "Ann\nLee",
        "' or 1=1 --",
        "ann@club.example",
        "none@none.com",
        "+44 20 7946 0958 x12",
        "0000000000",
        "\u202eAnn",
    ),
    *("{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "links", "SCL", "EMAIL", "ALWAYS", "[1]", "{}", "%", "\\", '"', ","),
)
TYPED: Final[tuple[tuple[pa.DataType, Any], ...]] = (
    (pa.float64(), 4930123456.0),
    (pa.float64(), 1e300),
    (pa.float32(), 7.5),
    (pa.int64(), 2**62),
    (pa.decimal128(12, 2), Decimal("17.00")),
    (pa.bool_(), True),
    (pa.date32(), date(2026, 3, 1)),
    (pa.timestamp("us", tz="UTC"), datetime(9999, 12, 31, tzinfo=UTC)),
    (pa.list_(pa.int64()), [1, 2]),
    (pa.binary(), b"\x00\xff"),
)
PLACEHOLDERS: Final = {
    "authUserId": (
        *("null", "0", "undefined", "[object Object]", "00000000-0000-0000-0000-000000000000"),
        *("-1", "auth0|null", "nobody", "#REF!", "\\N", "\uff0d"),
    ),
    "email": ("none@none.com", "noemail@club.example", "n/a", "Lee <no.reply@club.example>", "mailto:a@b.com"),
    "phoneNumber": ("0000000000", "1234567890", "-", "Mobile: 07777777777", "0000000 x1", "000\u2013000\u20130000"),
}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_row_is_valid_or_quarantined_and_consent_is_what_contacts_say(tmp_path: Path, seed: int) -> None:
    chance = Random(seed)
    hours = Hours(tmp_path, delivered(tmp_path / "services", tenants=2, people=60, events=400, until=UNTIL))
    for name, rows in hours.services.tables.items():
        for _ in range(8 if name != "Tenant" else 0):
            row = chance.choice(rows) if rows else {}
            if columns := [column for column in row if column != "tenantId"]:
                row[chance.choice(columns)] = chance.choice(TEXTS)
    hours.services.deliver(hours.services.folder)
    type_a_column(hours.services, chance)
    hours.refresh(UNTIL)
    with closing(hours.lake.connect()) as con:
        for service in Service:
            for table in list_source_tables(service):
                hours.lake.create_current_view(con, table)
                in_lake = con.sql(f"select count(*) from {to_lake_name(table)}").fetchall()[0][0]
                assert in_lake == len(hours.services.tables[table.name]), table.name
        agreed = con.sql(f"""
            select count(*) from {hours.lake.create_current_view(con, profiles.customer_profiles)} p
            join {hours.lake.create_current_view(con, identity.customer_identities)} i
                on i.tenant_id = p.tenant_id and i.profile_id = p.id and i.service = 'MESSAGING'
            join {hours.lake.create_current_view(con, messaging.contact)} c
                on c.tenant_id = i.tenant_id and c.id = i.service_record_id
            where p.email_opt_in and not coalesce(c.email_opt_in, false)
                or p.sms_opt_in and not coalesce(c.sms_opt_in, false)
                or len(c._problems) > 0""").fetchall()
    assert agreed == [(0,)]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_placeholder_merges_nobody(tmp_path: Path, seed: int) -> None:
    """People are the same with placeholders as with nothing in their place."""
    found: list[list[tuple[str, ...]]] = []
    for words in (PLACEHOLDERS, dict.fromkeys(PLACEHOLDERS, ("",))):
        folder = tmp_path / str(len(found))
        hours = Hours(folder, delivered(folder / "services", tenants=2, people=60, events=100, until=UNTIL))
        put_words(hours.services, Random(seed), words)
        hours.services.deliver(hours.services.folder)
        hours.refresh(UNTIL)
        with closing(hours.lake.connect()) as con:
            view = hours.lake.create_current_view(con, identity.customer_identities)
            found.append(con.sql(f"select service, service_record_id, profile_id from {view} order by all").fetchall())
    assert found[0] == found[1]


def put_words(services: MovingServices, chance: Random, words: Mapping[str, tuple[str, ...]]) -> None:
    """Puts a word into a third of the keys of people; which ones does not depend on the words."""
    changed = Counter[str]()
    for table in PEOPLE:
        for row in services.tables[table]:
            for column, choices in words.items():
                if chance.random() < 1 / 3:
                    row[column] = choices[chance.randrange(1000) % len(choices)]
                    changed[column] += 1
    assert len(changed) == len(words)


def type_a_column(services: MovingServices, chance: Random) -> None:
    """Delivers a table as Parquet in which one column has values of another type."""
    service = chance.choice(list(Service))
    table = chance.choice([table for table in list_source_tables(service) if table.name != "Tenant"])
    rows, (kind, value) = services.tables[table.name], chance.choice(TYPED)
    odd = chance.choice([name for name in services.headers[table.name] if name not in ("id", "tenantId")])
    columns = {
        name: pa.array([row.get(name) or None for row in rows], pa.string()) for name in services.headers[table.name]
    }
    columns[odd] = pa.array([chance.choice((value, None)) for _ in rows], kind)
    file = services.folder / service.lower() / f"{table.name}.csv"
    file.unlink()
    pq.write_table(pa.table(columns), file.with_suffix(".parquet"))
