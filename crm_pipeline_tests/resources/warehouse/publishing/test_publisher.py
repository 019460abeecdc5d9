"""Publishing a tenant makes its tables equal to the lake's rows with as few changes as possible, or not at all."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_pipeline.resources.warehouse.publishing.publisher import PublishError, TenantRefresh
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline_tests.fixtures.servers.warehouses import (
    AS_OF,
    Row,
    a_connection,
    a_row,
    ask,
    connected,
    create_pending_rows,
    publish,
    rows_of,
    rows_seen,
)

IDS = [f"00000000-0000-0000-0000-00000000000{n}" for n in range(4)]
LATER = datetime(2026, 3, 31, 13, tzinfo=UTC)
TENANTS = count(1)


def profile(id_: str, tenant: str = "t", **values: object) -> Row:
    return a_row(customer_profiles, tenant_id=tenant, id=id_, **values)


def event(id_: str, tenant: str = "t", **values: object) -> Row:
    return a_row(customer_timeline, tenant_id=tenant, event_id=id_, **values)


def test_a_first_load_adds_every_row(warehouse: Warehouse) -> None:
    changes = publish(warehouse, "t", {customer_profiles: [profile(IDS[0]), profile(IDS[1])]}, 1)
    assert changes["customer_profiles"] == (2, 0, 0)
    assert [row["id"] for row in rows_of(warehouse, customer_profiles, "t")] == IDS[:2]


def test_only_rows_that_differ_are_written(warehouse: Warehouse) -> None:
    publish(warehouse, "t", {customer_profiles: [profile(id_) for id_ in IDS[:3]]}, 1)
    written = "select id::text, xmin::text from crm.customer_profiles where id = any(cast(:ids as uuid[]))"
    before = ask(warehouse, written, ids=IDS[:1])
    rows = [profile(IDS[0]), profile(IDS[1], status="changed"), profile(IDS[3])]
    assert publish(warehouse, "t", {customer_profiles: rows}, 2)["customer_profiles"] == (1, 1, 1)
    assert ask(warehouse, written, ids=IDS[:1]) == before
    found = {row["id"]: row["status"] for row in rows_of(warehouse, customer_profiles, "t")}
    assert found == {IDS[0]: "plain", IDS[1]: "changed", IDS[3]: "plain"}


def test_a_time_of_our_own_run_is_no_change(warehouse: Warehouse) -> None:
    publish(warehouse, "t", {customer_profiles: [profile(IDS[0])]}, 1)
    assert publish(warehouse, "t", {customer_profiles: [profile(IDS[0], updated_at=LATER)]}, 2) == {
        "customer_profiles": (0, 0, 0)
    }


def test_a_tenant_can_become_empty_and_fill_again(warehouse: Warehouse) -> None:
    tables = {customer_profiles: [profile(IDS[0])], customer_timeline: [event("e")]}
    assert publish(warehouse, "t", {table: [] for table in tables}, -1) == dict.fromkeys(
        ("customer_profiles", "customer_timeline"), (0, 0, 0)
    )
    publish(warehouse, "t", tables, 1)
    publish(warehouse, "t", {table: [] for table in tables}, 2)
    assert [rows_of(warehouse, table, "t") for table in tables] == [[], []]
    publish(warehouse, "t", tables, 3)
    assert [len(rows_of(warehouse, table, "t")) for table in tables] == [1, 1]


def test_another_tenants_rows_are_left_alone_even_where_ids_are_the_same(warehouse: Warehouse) -> None:
    rows = {customer_profiles: [profile(IDS[0], "other")], customer_timeline: [event("e", "other")]}
    publish(warehouse, "other", rows, 5)
    publish(warehouse, "t", {customer_profiles: [profile(IDS[0])], customer_timeline: [event("e")]}, 1)
    publish(warehouse, "t", {customer_profiles: [], customer_timeline: []}, 2)
    assert (
        len(rows_of(warehouse, customer_profiles, "other")) == len(rows_of(warehouse, customer_timeline, "other")) == 1
    )


def test_every_type_arrives_exactly(warehouse: Warehouse) -> None:
    full = profile(
        "0f8fad5b-d9cb-469f-a165-70867728950e",
        first_name="Zoë 'Q' \\ \"x\"\n\t$1 %s 🏌",
        scl_member_id=2**63 - 1,
        handicap=Decimal("-3.4"),
        tags=["plain", "with, comma", '{"', "", "ß"],
        churn_reasons='{"é": [1, 2.5, null, "\\u00e9"], "a": {"b": true}}',
        identity_confidence=0.1 + 0.2,
        email_opt_in=False,
        last_activity_at=datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC),
    )
    empty = profile("ffffffff-ffff-ffff-ffff-ffffffffffff", tags=[])
    publish(warehouse, "t", {customer_profiles: [full, empty]}, 1)
    parsed = {"churn_reasons": {"é": [1, 2.5, None, "é"], "a": {"b": True}}}
    documents: Row = {"engagement_reasons": {}, "field_sources": {}}
    assert rows_of(warehouse, customer_profiles, "t") == [full | documents | parsed, empty | documents]


def test_a_version_already_published_is_skipped(warehouse: Warehouse) -> None:
    publish(warehouse, "t", {customer_profiles: [profile(IDS[0])]}, 7)
    tables = {customer_profiles: [profile(IDS[1])], customer_timeline: [event("e")]}
    con = a_connection()
    pending = [
        create_pending_rows(con, customer_profiles, tables[customer_profiles], 7),
        create_pending_rows(con, customer_timeline, [event("e")], 3),
    ]
    with warehouse.publisher(con, as_of=AS_OF, run_id="r") as publisher:
        assert publisher.publish("t", pending) == {"customer_timeline": (1, 0, 0)}
    assert [row["id"] for row in rows_of(warehouse, customer_profiles, "t")] == IDS[:1]


def test_an_older_version_is_refused(warehouse: Warehouse) -> None:
    publish(warehouse, "t", {customer_profiles: [profile(IDS[0])]}, 7)
    with pytest.raises(PublishError, match="t: customer_profiles was published at version 7, this lake has 6"):
        publish(warehouse, "t", {customer_timeline: [event("e")], customer_profiles: []}, 6)
    assert len(rows_of(warehouse, customer_profiles, "t")) == 1
    assert rows_of(warehouse, customer_timeline, "t") == []


def test_a_count_that_does_not_match_rolls_back_every_table(warehouse: Warehouse) -> None:
    publish(warehouse, "t", {customer_profiles: [profile(IDS[0])], customer_timeline: [event("e")]}, 1)
    doubled = {customer_profiles: [profile(IDS[1])], customer_timeline: [event("e"), event("e")]}
    with pytest.raises(PublishError, match="t: customer_timeline would have 1 rows, the lake has 2"):
        publish(warehouse, "t", doubled, 2)
    assert [row["id"] for row in rows_of(warehouse, customer_profiles, "t")] == IDS[:1]
    versions = ask(warehouse, "select table_name, version, rows from crm.publications order by 1")
    assert versions == [("customer_profiles", 1, 1), ("customer_timeline", 1, 1)]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"email": "secret@example.com\0"}, "there is text that is not UTF-8 (SQLSTATE 22021)"),
        ({"field_sources": "{secret@example.com"}, "PostgreSQL reports SQLSTATE 22P02"),
        ({"email": "secret@example.com", "first_seen_at": None}, "PostgreSQL reports SQLSTATE 23502 ("),
    ],
)
def test_what_postgresql_refuses_is_reported_without_the_row_and_the_next_tenant_follows(
    warehouse: Warehouse, fault: Row, message: str
) -> None:
    con = a_connection()
    with warehouse.publisher(con, as_of=AS_OF, run_id="r") as publisher:
        with pytest.raises(PublishError, match=f"^{re.escape(f'bad: {message}')}") as refused:
            publisher.publish("bad", [create_pending_rows(con, customer_profiles, [profile(IDS[0], "bad") | fault], 1)])
        assert "secret" not in str(refused.value)
        assert refused.value.__suppress_context__
        publisher.publish("good", [create_pending_rows(con, customer_profiles, [profile(IDS[0], "good")], 1)])
        publisher.store_refresh_time([TenantRefresh("good", "ACTIVE", None)], None, [])
    assert [len(rows_of(warehouse, customer_profiles, tenant)) for tenant in ("bad", "good")] == [0, 1]


@pytest.mark.parametrize(
    "tenant", ["o'hara", "';drop schema crm--", "Zürich ⛳", "../x", "$1", "a b", "\\", "%s", '"', "1"]
)
def test_any_tenant_id_has_a_partition_of_its_own(warehouse: Warehouse, tenant: str) -> None:
    publish(warehouse, "plain", {customer_timeline: [event("e", "plain")]}, 1)
    publish(warehouse, tenant, {customer_timeline: [event("e", tenant)]}, 1)
    publish(warehouse, tenant, {customer_timeline: [event("e", tenant), event("f", tenant)]}, 2)
    held = ask(
        warehouse, "select tableoid::regclass::text, tenant_id, count(*) from crm.customer_timeline group by 1, 2"
    )
    assert {(owner, rows) for _, owner, rows in held} == {("plain", 1), (tenant, 2)}
    assert len({partition for partition, _, _ in held}) == 2


ROWS = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 2), st.none() | st.text("xé'\\", max_size=2)))


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
@given(st.lists(ROWS, min_size=1, max_size=5))
def test_after_any_publications_the_table_equals_the_last_one(
    warehouse: Warehouse, publications: list[dict[str, tuple[int, str | None]]]
) -> None:
    tenant, con = f"tenant {next(TENANTS)}", a_connection()
    before: dict[str, tuple[int, str | None]] = {}
    with warehouse.publisher(con, as_of=AS_OF, run_id="r") as publisher, connected(warehouse) as reader:
        for version, wanted in enumerate(publications):
            rows = [event(id_, tenant, amount_cents=n, currency=text) for id_, (n, text) in sorted(wanted.items())]
            changes = publisher.publish(tenant, [create_pending_rows(con, customer_timeline, rows, version)])[
                "customer_timeline"
            ]
            assert rows_seen(reader, customer_timeline, tenant) == [row | {"details": {}} for row in rows]
            both = before.keys() & wanted.keys()
            changed = sum(before[id_] != wanted[id_] for id_ in both)
            assert changes == (len(wanted) - len(both), changed, len(before) - len(both))
            before = wanted
