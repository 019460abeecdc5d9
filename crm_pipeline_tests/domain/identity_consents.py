"""What profiles agree to, through the golden record: for the tests of consent on random histories."""

from datetime import UTC, datetime
from itertools import product
from typing import Final

import duckdb
import pyarrow as pa
from hypothesis import strategies as st

from crm_pipeline.domain.as_of import define_as_of
from crm_pipeline.domain.identity.resolve import Resolution
from crm_pipeline.domain.profile_facts.facts import GOLDEN_RECORD
from crm_pipeline.tables.projections import arrow_schema
from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline_tests.domain.random_worlds import FEW, IDS

CHANNELS: Final = ("email_opt_in", "sms_opt_in", "push_opt_in", "whatsapp_opt_in")
PEOPLE: Final = """
    create temp table people as
    select tenant_id, service, service_record_id as record_id, null::varchar as auth_user_id, null::varchar as email,
        null::varchar as phone_number, null::varchar as first_name, null::varchar as last_name,
        '2026-01-01T00:00:00Z'::timestamptz as created_at, created_at as updated_at, service as service_order,
        service_record_id as record_order
    from resolved;
    create temp table customer_identities as
    select *, false as email_is_shared, false as phone_is_shared,
        row_number() over (partition by profile_id, service order by service_record_id) = 1 as is_primary from resolved;
    create temp table profile_targets as select tenant_id, profile_id, profile_id as target from resolved where false"""
Flags = tuple[bool, ...]
Answers = dict[tuple[str, str], Flags]
"""What each contact says, by tenant and record id."""

CONTACTS: Final = [(f"club-{number}", record_id) for number in range(FEW) for record_id in IDS]
SAID: Final = st.sampled_from(tuple(product((True, False), repeat=len(CHANNELS))))
ANSWERS: Final = st.lists(SAID, min_size=len(CONTACTS), max_size=len(CONTACTS)).map(
    lambda said: dict(zip(CONTACTS, said, strict=True))
)


def consents(found: Resolution, answers: Answers) -> dict[str, Flags]:
    """What each profile agrees to, in the golden record."""
    rows = [{"tenant_id": t, "id": i, **dict(zip(CHANNELS, s, strict=True))} for (t, i), s in answers.items()]
    with duckdb.connect() as con:
        con.register("resolved", found.customer_identities)
        con.execute(PEOPLE)
        define_as_of(con, datetime(2026, 3, 31, 12, tzinfo=UTC))
        for name, table in (
            ("scl_member", scl.member),
            ("teetime_player", teetime.player),
            ("crm_profile_tag", crm.profile_tag),
        ):
            con.register(name, arrow_schema(table).empty_table())
        schema = pa.schema([f.with_nullable(True) for f in arrow_schema(messaging.contact)])
        con.register("messaging_contact", pa.Table.from_pylist(rows, schema))
        query = f"select id, {', '.join(CHANNELS)} from ({GOLDEN_RECORD.read_text(encoding='utf-8')})"
        return {profile: tuple(flags) for profile, *flags in con.sql(query).fetchall()}
