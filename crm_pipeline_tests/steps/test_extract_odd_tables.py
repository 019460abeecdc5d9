"""An extraction from tables that are not as declared: views, keys of another kind, keys that are shared or missing."""

import re
from contextlib import closing

from sqlalchemy import text

from crm_pipeline.tables.sources import scl
from crm_pipeline_tests.fixtures.histories.histories import History


def change(history: History, *statements: str) -> None:
    for statement in statements:
        history.session.execute(text(statement))
    history.session.commit()


def lose_the_key_of_a_payment(history: History) -> None:
    change(
        history, 'alter table "Payment" drop constraint "Payment_pkey"', 'alter table "Payment" alter id drop not null'
    )
    history.play([("insert", "links", 0)])
    change(history, 'update "Payment" set id = null')
    history.run()


def problems(history: History) -> dict[str, list[str]]:
    """The payments in the lake by key, without the hash that tells duplicates apart, and what is wrong with each."""
    with closing(history.lake.connect()) as con:
        view = history.lake.create_current_view(con, scl.payment)
        rows = con.sql(f"select _record_key, _problems from {view} order by 1").fetchall()
    return {re.sub(" [0-9a-f]{32}$", "", key): [re.sub(r":\d+$", "", one) for one in found] for key, found in rows}


def test_a_view_is_read_whole_since_its_rows_do_not_say_who_wrote_them(history: History) -> None:
    change(history, 'alter table "Member" rename to people', 'create view "Member" as select * from people')
    history.run()
    change(
        history,
        'insert into people (id, "tenantId", "updatedAt", "membershipStatus", "joinedAt", "createdAt")'
        " values (1, 'links', now(), 'ACTIVE', now(), now())",
    )
    assert history.run().changes["Member"] == (1, 0, 0)
    change(history, "delete from people")
    assert history.run().changes["Member"] == (0, 0, 1)


def test_keys_of_another_kind_than_declared_are_read_whole(history: History) -> None:
    history.play([("insert", "links", 0)])
    change(history, 'alter table "Member" alter id type text', """update "Member" set id = 'seven'""")
    history.run()
    change(history, """update "Member" set id = '8'""")
    assert history.run().changes["Member"] == (1, 0, 1)


def test_rows_that_share_a_key_come_together_when_one_changes(history: History) -> None:
    """Both are judged again, and the better one counts."""
    change(history, 'alter table "Payment" drop constraint "Payment_pkey"')
    history.play([("insert", "links", 0)])
    change(history, 'insert into "Payment" select * from "Payment"')
    history.run()
    assert problems(history) == {"p1": [], "p1 duplicate 2": ["id:DUPLICATE_KEY"]}
    change(history, """update "Payment" set status = 'LOST' where ctid = (select max(ctid) from "Payment")""")
    history.run()
    assert problems(history) == {"p1": [], "p1 duplicate 2": ["status:UNKNOWN_VALUE", "id:DUPLICATE_KEY"]}
    change(history, """delete from "Payment" where status = 'LOST'""")
    change(history, 'update "Payment" set description = null')
    history.run()
    assert problems(history) == {"p1": []}


def test_rows_without_a_key_come_every_time(history: History) -> None:
    lose_the_key_of_a_payment(history)
    assert [key.split()[:2] for key in problems(history)] == [["no", "id"]]
    change(history, """update "Payment" set id = 'found'""")
    assert history.run().changes["Payment"] == (1, 0, 1)
    assert problems(history) == {"found": []}


def test_a_row_without_a_key_that_was_deleted_goes_with_the_daily_sweep(history: History) -> None:
    lose_the_key_of_a_payment(history)
    change(history, 'delete from "Payment"')
    history.run(hours=25)
    assert problems(history) == {}
