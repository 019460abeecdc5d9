"""Schema `crm` in PostgreSQL is as declared, comments included, and migrating it blocks no reader."""

from sqlalchemy import text

from crm_pipeline.domain.privacy.subject_rows import OUTPUT_CONDITIONS
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables import PUBLISHED_TABLES
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.projections import to_postgres_type
from crm_pipeline.tables.views import PUBLISHED_VIEWS
from crm_pipeline_tests.fixtures.servers.warehouses import a_row, ask, connected, publish, rows_of

ROW_HASH = "Hash of the row, for comparing it with the lake."
OUR_OWN = {"publication_states", "alembic_version"}
"""Tables besides the published ones, which are internal."""
COLUMNS = """
    select c.relname, a.attname, col_description(c.oid, a.attnum), upper(format_type(a.atttypid, a.atttypmod)),
        a.attnotnull
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'crm'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and a.attnum > 0 and not a.attisdropped"""


def declared_columns() -> set[tuple[str, str, str | None, str, bool]]:
    declared = {
        (t.name, c.name, c.comment, to_postgres_type(c).replace(", ", ","), not c.nullable)
        for t in PUBLISHED_TABLES
        for c in t.columns
    }
    return declared | {(t.name, "row_hash", ROW_HASH, "BIGINT", False) for t in PUBLISHED_TABLES}


def published_columns(warehouse: Warehouse) -> set[tuple[str, str, str | None, str, bool]]:
    return {column for column in ask(warehouse, COLUMNS) if column[0] not in OUR_OWN}


def test_every_column_has_the_declared_type_comment_and_nullability(warehouse: Warehouse) -> None:
    assert published_columns(warehouse) == declared_columns()


def test_every_table_has_its_declared_comment_and_so_has_every_view(warehouse: Warehouse) -> None:
    comments = ask(
        warehouse,
        """select relname, obj_description(oid) from pg_class
            where relnamespace = 'crm'::regnamespace and relkind in ('r', 'p', 'v') and not relispartition""",
    )
    views = {
        ("profile_redirects", "Former profile ids and the live profile each now means."),
        *((view.name, view.comment) for view in PUBLISHED_VIEWS),
    }
    assert {row for row in comments if row[0] not in OUR_OWN} == {
        (table.name, table.comment) for table in PUBLISHED_TABLES
    } | views


def test_every_table_of_people_that_has_a_club_is_partitioned_by_it(warehouse: Warehouse) -> None:
    partitioned = ask(warehouse, "select relname, pg_get_partkeydef(oid) from pg_class where relkind = 'p'")
    of_people = {table for table in OUTPUT_CONDITIONS if table in PUBLISHED_TABLES and not table.c.tenant_id.nullable}
    assert set(partitioned) == {(table.name, "LIST (tenant_id)") for table in of_people}


def test_the_timeline_is_indexed_for_a_profiles_page(warehouse: Warehouse) -> None:
    indexed = ask(warehouse, "select pg_get_indexdef('crm.customer_timeline_by_profile'::regclass)")[0][0]
    assert indexed.endswith("(tenant_id, profile_id, occurred_at DESC)")


def test_migrating_again_changes_nothing_and_preserves_the_rows(warehouse: Warehouse) -> None:
    publish(warehouse, "t", {customer_profiles: [a_row(customer_profiles, tenant_id="t")]}, 1)
    everything = "select oid, relname, xmin::text from pg_class where relnamespace = 'crm'::regnamespace order by 1"
    before = ask(warehouse, everything)
    warehouse.migrate_schema()
    assert ask(warehouse, everything) == before
    assert len(rows_of(warehouse, customer_profiles, "t")) == 1


def test_migrating_creates_what_is_missing(warehouse: Warehouse) -> None:
    ask(warehouse, "drop view crm.profile_redirects")
    ask(warehouse, "drop table crm.identity_reviews")
    warehouse.migrate_schema()
    assert published_columns(warehouse) == declared_columns()
    assert ask(warehouse, "select * from crm.profile_redirects") == []


def test_migrating_waits_for_no_reader(warehouse: Warehouse) -> None:
    with connected(warehouse, "REPEATABLE READ") as reader:
        for relation in (*(f"crm.{table.name}" for table in PUBLISHED_TABLES), "crm.profile_redirects"):
            reader.execute(text(f"select count(*) from {relation}"))
        with connected(warehouse) as owner:  # a limit on our own role turns a wait into an error
            owner.execute(text("alter role crm_pipeline set lock_timeout = '1min'"))
        try:
            warehouse.migrate_schema()
        finally:
            ask(warehouse, "alter role crm_pipeline reset lock_timeout")
