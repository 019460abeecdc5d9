"""The SQL audit: no fault in resolutions of random worlds and histories, and every planted fault is found."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given

from crm_pipeline.domain.identity.audit import AUDIT_QUERIES, find_violations
from crm_pipeline.domain.identity.resolve import Resolution, ResolutionInputs
from crm_pipeline_tests.fixtures.worlds.identity_worlds import T, about, history, inputs, run, world
from crm_pipeline_tests.fixtures.worlds.naive_identities import Person
from crm_pipeline_tests.fixtures.worlds.random_worlds import MANY, Tenants, histories, tenants, thorough

STORED = """
    create table customer_identities as
    select i.*, email_is_shared, phone_is_shared,
        row_number() over (partition by i.tenant_id, profile_id, i.service order by service_record_id) = 1 as is_primary
    from resolved i join shared_values s
        on s.tenant_id = i.tenant_id and s.service = i.service and s.record_id = i.service_record_id"""


@contextmanager
def stored(last_inputs: ResolutionInputs, found: Sequence[Resolution]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yields a connection with the relations of the audit: the last inputs, and the resolutions up to them."""
    last = found[-1]
    tables = {name: getattr(last_inputs, name) for name in ("records", "tenants", "suppressed", "overrides")}
    tables |= {"profile_ids": last.profile_ids, "identity_reviews": last.identity_reviews}
    tables |= {"profile_events": pa.concat_tables([each.profile_events for each in found])}
    with duckdb.connect() as con:
        for name, rows in tables.items():
            con.register("given", rows)
            con.execute(f"create table {name} as from given")
        con.register("resolved", last.customer_identities)
        con.register("shared_values", last.shared_values)
        con.execute(STORED)
        yield con


@thorough
@given(tenants(MANY))
def test_nothing_is_wrong_with_what_resolution_finds(everybody: Tenants) -> None:
    with stored(inputs(everybody), [run(everybody)]) as con:
        assert_nothing_wrong(con, everybody)


@thorough
@given(histories(may_vanish=True))
def test_nothing_is_wrong_after_a_history(moments: Sequence[Tenants]) -> None:
    with stored(inputs(moments[-1]), history(*moments)) as con:
        assert_nothing_wrong(con, *moments)


def assert_nothing_wrong(con: duckdb.DuckDBPyConnection, *moments: Tenants) -> None:
    for wrong in find_violations(con):
        with about(wrong.tenant_id, *(moment[wrong.tenant_id] for moment in moments)):
            raise AssertionError(wrong)


MEMBER = Person("SCL", "1", "a", "ann@x.example", "+1", "ann", "lee")
AGAIN = MEMBER._replace(record_id="2", auth_user_id=None)
PLAYER = Person("TEETIME", "p", None, "ann@x.example", None, "bob")
LEAD, GONE = Person("CRM", "l", "lead", "lead@x.example"), Person("CRM", "gone")
YOUNGER = Person("MESSAGING", "c", "c", "c@x.example")
HISTORY = (
    world(MEMBER, AGAIN, PLAYER, LEAD, GONE, YOUNGER),
    world(MEMBER, AGAIN, PLAYER, LEAD, YOUNGER._replace(auth_user_id="lead")),
)
"""Afterwards one id redirects, and one is retired."""

PART = "update customer_identities set profile_id = 'x', rule = 'ANCHOR', confidence = 1, linked_to_service = null, "
ALONE = PART + "linked_to_record_id = null, is_primary = true where service = 'TEETIME'"
FREE = "update records set auth_user_id = null where service in ('CRM', 'MESSAGING'); "
LINK = "update customer_identities set "
BY_LOGIN = LINK + "rule = 'AUTH_USER_ID', confidence = 1 where service = 'TEETIME'; "
ONE_LOGIN = BY_LOGIN + "update records set auth_user_id = 'a', email = null where record_id = 'p'; "
FAULTS = {
    "a record is not in exactly one profile": [
        "delete from customer_identities where service = 'CRM'",
        "insert into customer_identities from customer_identities where service = 'CRM'",
        "insert into records values ('club', 'CRM', 'new', null, null, null, null, null)",
        "delete from records where service = 'TEETIME'",
    ],
    "a profile has two auth_user_ids": ["update records set auth_user_id = 'z' where record_id = 'p'"],
    "a profile holds a NEVER pair": [
        "insert into overrides values ('club', 'TEETIME', 'p', 'SCL', '1', 'NEVER')",
        "insert into overrides values ('club', 'SCL', '1', 'TEETIME', 'p', 'NEVER')",
    ],
    "a profile has two people of one service": [
        "update records set first_name = 'eve' where record_id = '2'",
        "update records set last_name = null where record_id in ('1', '2')",
        "insert into suppressed values ('club', 'PHONE', '+1')",
        "update records set auth_user_id = 'a', first_name = 'nancy' where record_id = '2'",
    ],
    "a profile has no anchor, or several": [LINK + "rule = 'ANCHOR' where service = 'TEETIME'"],
    "an anchor has a link or is not certain": [
        LINK + "confidence = 0.9 where rule = 'ANCHOR'",
        LINK + "linked_to_service = 'SCL', linked_to_record_id = '2' where rule = 'ANCHOR'",
    ],
    "the links of a record do not lead to the anchor": [
        LINK + "linked_to_service = service, linked_to_record_id = service_record_id where service = 'TEETIME'",
        LINK + "linked_to_record_id = 'nobody' where service = 'TEETIME'",
    ],
    "a link leaves its profile": [LINK + "profile_id = 'x' where service = 'TEETIME'"],
    "the rule of a link does not hold": [
        "update records set email = 'other@x.example' where record_id = 'p'",
        "insert into suppressed values ('club', 'EMAIL', 'ann@x.example')",
        *(
            LINK + f"rule = '{rule}' where service = 'TEETIME'"
            for rule in ("ALWAYS", "AUTH_USER_ID", "PHONE", "KINSHIP", "EMAIL_AND_PHONE", "DUPLICATE_REGISTRATION")
        ),
        *(LINK + f"rule = '{rule}' where service_record_id = '2'" for rule in ("EMAIL", "PHONE", "EMAIL_AND_PHONE")),
        "insert into records select 'club', 'SCL', unnest(['7', '8']), null, 'ann@x.example', null, null, null",
        "update records set auth_user_id = 'a', first_name = 'nancy' where record_id = '2'; "
        + LINK
        + "rule = 'AUTH_USER_ID', confidence = 1 where service_record_id = '2'",
        ONE_LOGIN + "insert into records values ('club', 'CRM', 'z', 'a', null, null, 'zoe', null)",
        "insert into overrides values ('club', 'TEETIME', 'p', 'SCL', '1', 'ALWAYS'); "
        + LINK
        + "rule = 'ALWAYS', linked_to_service = null, linked_to_record_id = null where service = 'TEETIME'",
    ],
    "the confidence of a link is not that of its rule": [LINK + "confidence = 0.9 where service = 'TEETIME'"],
    "a link is below min_confidence": ["update tenants set min_confidence = 0.96"],
    "records that match and contradict nothing are two people": [
        ALONE,
        FREE + "update records set email = 'ann@x.example' where service = 'CRM'",
        FREE + "update records set phone_number = '+1' where service = 'CRM'",
        FREE + "insert into overrides values ('club', 'CRM', 'l', 'TEETIME', 'p', 'ALWAYS')",
        "update records set auth_user_id = 'a' where service in ('CRM', 'MESSAGING')",
    ],
    "first names differ and nobody is asked": [
        "delete from identity_reviews",
        "update identity_reviews set closed_at = opened_at",
        "update identity_reviews set kind = 'CONFLICT'",
        "update identity_reviews set record_id_a = 'other'",
        ONE_LOGIN + "delete from identity_reviews",
    ],
    "a shared value is not told apart": [
        LINK + "email_is_shared = true where service = 'CRM'",
        LINK + "phone_is_shared = true where service = 'CRM'",
        "insert into suppressed values ('club', 'EMAIL', 'lead@x.example')",
    ],
    "a profile has no primary record of a service, or several": [
        LINK + "is_primary = true",
        LINK + "is_primary = false where service = 'CRM'",
    ],
    "live ids and profiles are not one to one": [
        "delete from profile_ids where is_live",
        "update profile_ids set is_live = true",
        "update profile_ids set is_live = false",
    ],
    "the anchor of a profile is not that of its id": [
        "update profile_ids set anchor_record_id = '2' where anchor_record_id = '1'"
    ],
    "an id redirects to one that is not live": [
        "update profile_ids set redirects_to = profile_id where is_live",
        "update profile_ids set redirects_to = 'x' where redirects_to is not null",
    ],
    "an id leads elsewhere than its anchor record": [
        "update profile_ids set redirects_to = null where redirects_to is not null",
        "update profile_ids set anchor_service = 'SCL', anchor_record_id = '1' where redirects_to is not null",
    ],
    "a profile has not the oldest of its ids": [
        "update profile_ids set birth_order = -1 where redirects_to is not null"
    ],
    "an id is there twice": [
        "insert into profile_ids from profile_ids where redirects_to is not null",
        "insert into profile_ids select * replace ('other' as tenant_id) from profile_ids where not is_live",
    ],
    "two ids have one place among the births": [
        "update profile_ids set birth_order = -1 - birth_order",
        "update profile_ids set birth_order = 0",
    ],
    "an id is not made from the record it names": [
        "update profile_ids set generation = 1",
        "update profile_ids set minted_service = 'TEETIME'",
        "update profile_ids set minted_record_id = '3'",
    ],
    "an id was not born exactly once": [
        "delete from profile_events where event_type = 'CREATED'",
        "insert into profile_events from profile_events where event_type = 'CREATED'",
    ],
    "an id changed without an event": [
        "delete from profile_events where event_type = 'MERGED'",
        "update profile_events set other_profile_id = profile_id where event_type = 'MERGED'",
        "delete from profile_events where event_type = 'RETIRED'",
        """insert into profile_events select * replace (profile_id as other_profile_id, 'MERGED' as event_type,
            occurred_at + interval 1 hour as occurred_at) from profile_events where event_type = 'CREATED'""",
    ],
}


@pytest.fixture(scope="module")
def valid_resolution() -> Iterator[duckdb.DuckDBPyConnection]:
    with stored(inputs({T: HISTORY[-1]}), history(*HISTORY)) as con:
        assert find_violations(con) == []
        yield con


@pytest.mark.parametrize(("fault", "damage"), [(fault, damage) for fault, some in FAULTS.items() for damage in some])
def test_a_planted_fault_is_found(valid_resolution: duckdb.DuckDBPyConnection, fault: str, damage: str) -> None:
    valid_resolution.begin()
    try:
        valid_resolution.execute(damage)
        assert fault in {each.violation for each in find_violations(valid_resolution)}
    finally:
        valid_resolution.rollback()


def test_a_link_by_login_holds_while_the_login_is_not_three_peoples(
    valid_resolution: duckdb.DuckDBPyConnection,
) -> None:
    valid_resolution.begin()
    try:
        valid_resolution.execute(ONE_LOGIN)
        assert find_violations(valid_resolution) == []
    finally:
        valid_resolution.rollback()


def test_every_rule_has_a_planted_fault() -> None:
    named = {
        text
        for check in AUDIT_QUERIES
        for text in re.findall(r"^select (?:distinct )?'([^']+)',? ", check, re.MULTILINE)
    }
    assert named == set(FAULTS)
