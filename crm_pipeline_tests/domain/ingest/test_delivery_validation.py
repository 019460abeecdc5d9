"""When a delivered snapshot is too small to be accepted."""

import duckdb
import pytest

from crm_pipeline.domain.ingest.delivery_validation import find_shrunken_tables, has_lost_every_tenant
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import crm, scl

TABLES = (scl.member, scl.payment)


def a_connection(*known_tenants: str) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("create table known_tenants as select unnest($1::varchar[]) as tenant_id", [list(known_tenants)])
    return con


def shrunken(tenants_before: str = "links", tenants_now: str = "links", **rows: tuple[int, int]) -> list[str]:
    """Returns the tables of SCL that shrank too far, given the rows each had and has; `links` is the known tenant."""
    con = a_connection("links")
    for table in TABLES:
        before, now = rows.get(table.name, (0, 0))
        for side, tenant, count in (("present", tenants_before, before), ("incoming", tenants_now, now)):
            con.execute(
                f"create table {side}_{to_lake_name(table)} as select '{tenant}' as tenant_id from range({count})"
            )
    return find_shrunken_tables(con, {table: f"incoming_{to_lake_name(table)}" for table in TABLES}, {})


@pytest.mark.parametrize(
    ("before", "now", "accepted"),
    [
        (0, 0, True),
        (0, 1_000, True),
        (49, 0, True),  # a small table may shrink as it likes
        (50, 25, True),
        (50, 24, False),
        (51, 25, False),
        (1_000, 500, True),
        (1_000, 499, False),
        (1_000, 0, False),
    ],
)
def test_a_table_of_fifty_rows_must_keep_half(before: int, now: int, accepted: bool) -> None:
    assert shrunken(Member=(before, now)) == ([] if accepted else ["Member"])


def test_every_table_is_named_that_is_not_accepted() -> None:
    assert shrunken(Member=(100, 1), Payment=(100, 100)) == ["Member"]
    assert shrunken(Member=(100, 1), Payment=(100, 1)) == ["Member", "Payment"]


def test_rows_of_unknown_tenants_count_neither_before_nor_now() -> None:
    assert shrunken(tenants_now="elsewhere", Member=(60, 90)) == ["Member"]
    assert shrunken(tenants_before="elsewhere", Member=(60, 1)) == []


def test_keys_are_counted_whosever_they_are() -> None:
    con = a_connection()
    con.execute("create table present_scl_member as select 'links' as tenant_id from range(60)")
    con.execute("create table keys_Member as from range(20)")
    assert find_shrunken_tables(con, {}, {scl.member: "keys_Member"}) == ["Member"]


@pytest.mark.parametrize(
    ("before", "now", "lost"),
    [
        ([], ["links"], False),
        (["links", "mesa"], ["mesa"], False),
        (["links", "mesa"], ["mesa", "mesa", None], False),
        (["links", "mesa"], ["downs", "dunes", "park"], True),
        (["links"], [], True),
        ([None], ["links"], False),
    ],
)
def test_one_of_the_tenants_so_far_must_be_among_those_delivered(
    before: list[str | None], now: list[str | None], lost: bool
) -> None:
    con = a_connection()
    for side, tenants in (("present", before), ("incoming", now)):
        con.execute(
            f"create table {side}_{to_lake_name(crm.tenant)} as select unnest($1::varchar[]) as tenant_id", [tenants]
        )
    assert has_lost_every_tenant(con, "incoming_crm_tenant") is lost
