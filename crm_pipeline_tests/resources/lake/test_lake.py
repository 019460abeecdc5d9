"""The lake stores every version of every row, appends only changes, and reads the newest version."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.resources.lake.lake import ChangeCounts, Lake
from crm_pipeline.tables.outputs import operations
from crm_pipeline.tables.sources import crm, teetime
from crm_pipeline_tests.fixtures.servers.lake_rows import HOUR, TABLE, Row, a_row, put, read_present_rows, read_versions

LATER = HOUR + timedelta(hours=1)


def test_a_lake_with_nothing_in_it_has_empty_tables(lake: Lake) -> None:
    assert read_present_rows(lake) == read_versions(lake) == []
    assert lake.version(TABLE) == -1
    with closing(lake.connect()) as con:
        assert lake.find_latest_known_at(con, TABLE) is None


def test_only_what_is_new_changed_or_gone_is_appended(lake: Lake) -> None:
    assert put(lake, [a_row("links", "A"), a_row("links", "B"), a_row("links", "C")]) == (3, 0, 0)
    changes = put(lake, [a_row("links", "A"), a_row("links", "B", 2), a_row("links", "D")], at=LATER)
    assert changes == ChangeCounts(added=1, changed=1, removed=1)
    assert read_versions(lake)[3:] == [("B", 2, LATER, False), ("C", 1, LATER, True), ("D", 1, LATER, False)]
    assert [row[2] for row in read_present_rows(lake)] == ["A", "B", "D"]


def test_the_same_rows_again_append_nothing(lake: Lake) -> None:
    rows = [a_row("links", "A"), a_row("mesa", "A")]
    put(lake, rows)
    assert put(lake, rows[::-1], at=LATER) == (0, 0, 0)
    assert lake.version(TABLE) == 0


def test_nothing_at_all_makes_no_commit(lake: Lake) -> None:
    assert put(lake, []) == (0, 0, 0)
    assert lake.version(TABLE) == -1


def test_a_row_that_comes_back_is_added_again(lake: Lake) -> None:
    for rows, changes in (([a_row("links", "A")], (1, 0, 0)), ([], (0, 0, 1)), ([a_row("links", "A")], (1, 0, 0))):
        assert put(lake, rows) == changes
    assert read_present_rows(lake) == [a_row("links", "A")]


def test_the_newest_version_counts_even_within_one_hour(lake: Lake) -> None:
    for rows in (1, 2, 3, 1, 2):
        put(lake, [a_row("links", "A", rows)])
    assert read_present_rows(lake) == [a_row("links", "A", 2)]
    assert [row[1] for row in read_versions(lake)] == [1, 2, 3, 1, 2]


def test_a_run_over_some_clubs_leaves_the_others_alone(lake: Lake) -> None:
    put(lake, [a_row("links", "A"), a_row("mesa", "A")])
    assert put(lake, [], tenants=["links"]) == (0, 0, 1)
    assert read_present_rows(lake) == [a_row("mesa", "A")]
    assert read_present_rows(lake, ["links"]) == []
    assert put(lake, [], tenants=[]) == (0, 0, 0)


def test_a_condition_bounds_what_is_replaced(lake: Lake) -> None:
    put(lake, [a_row("links", "A"), a_row("links", "A", service="CRM")])
    assert put(lake, [a_row("links", "B")], condition="service = 'SCL'") == (1, 0, 1)
    assert read_present_rows(lake) == [a_row("links", "A", service="CRM"), a_row("links", "B")]


def test_the_newest_hour_is_known_per_club(lake: Lake) -> None:
    put(lake, [a_row("links", "A")], tenants=["links"])
    put(lake, [a_row("mesa", "A")], tenants=["mesa"], at=LATER)
    with closing(lake.connect()) as con:
        assert lake.find_latest_known_at(con, TABLE) == LATER
        assert lake.find_latest_known_at(con, TABLE, tenants=["links"]) == HOUR


def test_tables_do_not_mix(lake: Lake) -> None:
    put(lake, [a_row("links", "A")])
    with closing(lake.connect()) as con:
        assert con.sql(f"from {lake.create_current_view(con, operations.quarantined_records)}").fetchall() == []
        assert con.sql(f"select count(*) from {lake.create_current_view(con, TABLE)}").fetchall() == [(1,)]
    assert lake.version(operations.quarantined_records) == -1


@pytest.mark.parametrize("text", ["2024-01-01", "1", "007", "1e5", "true", "null", "it's", "ü/ö", "%20", "a=b"])
def test_ids_stay_the_text_they_are(lake: Lake, text: str) -> None:
    rows = [a_row(text, text), a_row("links", text)]
    put(lake, rows)
    assert sorted(read_present_rows(lake)) == sorted(rows)
    assert read_present_rows(lake, [text]) == [a_row(text, text)]


@pytest.mark.parametrize("folder", ["with spaces", "Übersee, Fünen", "it's", "a+b&c#d", "日本", "~c{d}"])
def test_any_folder_will_do(tmp_path: Path, folder: str) -> None:
    lake = Lake(str(tmp_path / folder / "lake"), tmp_path / folder / "spill")
    for rows in (1, 2):
        put(lake, [a_row("links", "A", rows)])
    assert read_present_rows(lake) == [a_row("links", "A", 2)]


def test_source_rows_keep_their_types_and_faults(lake: Lake) -> None:
    put_player = f"""
        select 'links' as tenant_id, * exclude (tenant_id) replace (
            '7' as id, 12.4 as handicap, timestamptz '2026-03-29 01:30:00.123456Z' as updated_at),
            'ada' as _record_key, ['handicap:NOT_A_NUMBER'] as _problems, null as _warnings, null as _local_times
        from (select {", ".join(f"null as {column.key}" for column in teetime.player.columns)})"""
    with closing(lake.connect()) as con:
        con.execute(f"create temp view player_rows as {put_player}")
        for changes in ((1, 0, 0), (0, 0, 0)):
            assert lake.replace(con, teetime.player, "player_rows", tenants=None, known_at=HOUR) == changes
        view = lake.create_current_view(con, teetime.player)
        types = {name: type_ for name, type_, *_ in con.sql(f"describe {view}").fetchall()}
        [row] = con.sql(f"select updated_at, email, _problems from {view}").fetchall()
    assert [types[name] for name in ("id", "handicap", "updated_at", "_problems", "_row_hash")] == [
        "VARCHAR",
        "DECIMAL(5,1)",
        "TIMESTAMP WITH TIME ZONE",
        "VARCHAR[]",
        "BIGINT",
    ]
    assert row == (datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC), None, ["handicap:NOT_A_NUMBER"])


def test_a_change_that_only_moves_text_between_columns_is_a_change(lake: Lake) -> None:
    """The hash of a row must not take a value for a null, nor two values for one with the separator in it."""
    names = [column.key for column in crm.lead.columns]
    with closing(lake.connect()) as con:
        for first, last in (("'a'", "null"), ("null", "'a'"), ("'a' || chr(31)", "null"), ("chr(1)", "null")):
            values = ["null"] * len(names)
            values[names.index("tenant_id")], values[names.index("id")] = "'links'", "'x'"
            values[names.index("first_name")], values[names.index("last_name")] = first, last
            row = ", ".join(f"{value} as {name}" for value, name in zip(values, names, strict=True))
            source_columns = "'x' as _record_key, [] as _problems, null as _warnings, null as _local_times"
            con.execute(f"create or replace temp view leads as select {row}, {source_columns}")
            assert lake.replace(con, crm.lead, "leads", tenants=None, known_at=HOUR).total == 1


KEYS = st.tuples(st.sampled_from(["links", "mesa", "1"]), st.sampled_from(["SCL", "CRM"]), st.sampled_from("ABC"))
STATES = st.lists(st.dictionaries(KEYS, st.integers(0, 3), max_size=6), min_size=1, max_size=5)


@settings(max_examples=12, deadline=None)
@given(STATES)
def test_whatever_was_put_before_the_present_is_what_was_put_last(states: list[dict[Row, int]]) -> None:
    with TemporaryDirectory() as folder:
        lake, before = Lake(folder, Path(folder) / "spill"), dict[Row, int]()
        for state in states:
            changes = put(lake, [(*key, HOUR, rows) for key, rows in state.items()])
            assert {key[:3]: key[4] for key in read_present_rows(lake)} == state
            assert (changes.added, changes.removed) == (len(state.keys() - before), len(before.keys() - state))
            before = state
