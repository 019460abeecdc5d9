"""Consent through every merge and split: a profile agrees as far as all its contacts do, and gets it back with them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline import domain
from crm_pipeline.domain.identities import Resolution
from crm_pipeline.tables import crm, messaging, scl, teetime
from crm_pipeline.tables.projections import arrow_schema
from crm_pipeline_tests.domain.identity_worlds import T, histories, history, partition, profiles, thorough
from crm_pipeline_tests.domain.naive_identities import World

CHANNELS: Final = ("email_opt_in", "sms_opt_in", "push_opt_in", "whatsapp_opt_in")
GOLDEN_RECORD: Final = (Path(domain.__file__).parent / "golden_record.sql").read_text(encoding="utf-8")
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
    create temp macro as_of() as '2026-03-31T12:00:00Z'::timestamptz;
    create temp table profile_targets as select tenant_id, profile_id, profile_id as target from resolved where false"""
Answers = dict[str, tuple[bool, ...]]


def consents(found: Resolution, answers: Answers) -> Answers:
    """What each profile agrees to, in the golden record."""
    rows = [{"tenant_id": T, "id": i, **dict(zip(CHANNELS, said, strict=True))} for i, said in answers.items()]
    with duckdb.connect() as con:
        con.register("resolved", found.customer_identities)
        con.execute(PEOPLE)
        for name, table in (
            ("scl_member", scl.member),
            ("teetime_player", teetime.player),
            ("crm_profile_tag", crm.profile_tag),
        ):
            con.register(name, arrow_schema(table).empty_table())
        schema = pa.schema([f.with_nullable(True) for f in arrow_schema(messaging.contact)])
        con.register("messaging_contact", pa.Table.from_pylist(rows, schema))
        query = f"select id, {', '.join(CHANNELS)} from ({GOLDEN_RECORD})"
        return {profile: tuple(flags) for profile, *flags in con.sql(query).fetchall()}


@thorough(25)
@given(histories(may_vanish=False), st.lists(st.tuples(*[st.booleans()] * 4), min_size=7, max_size=7))
def test_no_merge_and_no_split_makes_anybody_agree(moments: Sequence[World], drawn: list[tuple[bool, ...]]) -> None:
    first, *rest = moments
    answers = {p.record_id: said for p, said in zip(first.people, drawn, strict=False) if p.service == "MESSAGING"}
    found = history(first, *rest, first)
    for moment in found:
        agreed = consents(moment, answers)
        for profile, records in profiles(moment).items():
            said = [answers[record_id] for service, record_id in records if service == "MESSAGING"]
            assert agreed[profile] == tuple(bool(said) and all(flags[i] for flags in said) for i in range(4))
    assert partition(found[0]) == partition(found[-1])
    assert consents(found[0], answers) == consents(found[-1], answers)
