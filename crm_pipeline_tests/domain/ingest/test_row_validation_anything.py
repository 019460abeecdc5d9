"""Whatever is delivered is data: nothing raises, nothing is lost, and nothing is taken for SQL."""

from typing import Final

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table

from crm_pipeline.domain.ingest.row_validation import parse_rows, validate_rows
from crm_pipeline.tables import list_source_tables
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import teetime
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.input.delivered import AS_OF, LINKS, MESA, a_connection, a_row, read

INJECTIONS: Final = ("'", "'; drop table tenants; --", '"', "%", "\\", "a duplicate 2", "no id 1", ":", "{}", "{}}")


def test_strings_that_look_like_sql_are_only_data() -> None:
    clubs = [LINKS._replace(tenant_id=text, name=text) for text in INJECTIONS]
    con = a_connection(LINKS, MESA, *clubs)
    rows = [a_row(teetime.player, id=text, tenantId=club.tenant_id) for text in INJECTIONS for club in clubs]
    found = read(teetime.player, *rows, con=con)
    assert {(row["tenant_id"], row["id"], row["_record_key"]) for row in found} == {
        (row["tenantId"], row["id"], row["id"]) for row in rows
    }
    validate_rows(con, teetime.player, "read_teetime_player", AS_OF)
    assert con.sql("select count(*) from teetime_player").fetchall() == [(len(rows),)]


def test_an_id_that_looks_like_a_duplicates_key_is_nobody_elses() -> None:
    twins = [a_row(teetime.player, id=text) for text in ("a", "a", "a duplicate 2", "no id")]
    rows = read(teetime.player, *twins, a_row(teetime.player, id=None))
    assert len({row["_record_key"] for row in rows}) == 5


ODD = st.sampled_from(
    ["0", "7", "-1", "-0", "1e999", "nan", "true", "ACTIVE", "PAYMENT", "links", "mesa", "GBP", "'", "infinity", ""]
)
ODD |= st.sampled_from(["2026-02-30", "2026-03-29", "2026-03-29T01:30", "99999-01-01", "0001-01-01T00:00:00Z"])
ODD |= st.sampled_from(["\0", "9" * 400, "x" * 201])
ANYTHING = st.none() | ODD | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TABLES = tuple(table for service in Service for table in list_source_tables(service))


@settings(max_examples=200 if SOAK else 14, deadline=None)
@given(st.data(), st.sampled_from(TABLES))
def test_whatever_is_delivered_every_row_comes_out_exactly_once(data: st.DataObject, table: Table) -> None:
    names = [column.name for column in table.columns]
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, ANYTHING)), max_size=5))
    con = a_connection()
    schema = pa.schema([(name, pa.string()) for name in names])
    con.register("raw_rows", pa.Table.from_pylist(rows, schema=schema))
    for other in TABLES:
        con.execute(f"create temp view {to_lake_name(other)} as select 'links' as tenant_id, '7' as id")
    parse_rows(con, table, "raw_rows", "all_rows")
    validate_rows(con, table, "all_rows", AS_OF)
    name = to_lake_name(table)
    keys = con.sql(f"select tenant_id, _record_key, len(_problems) = 0 from {name}_validated").fetchall()
    assert len(keys) == len({key[:2] for key in keys}) == len(rows)
    assert con.sql(f"select count(*) from {name}").fetchall() == [(sum(key[2] for key in keys),)]
    con.close()
