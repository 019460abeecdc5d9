"""The privacy log: every action adds a line, the pipeline's role can only add, and people read it with own logins."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from crm_pipeline.resources.privacy import schema as privacy_schema
from crm_pipeline.resources.warehouse.warehouse import Warehouse

REFUSED = (
    "select * from privacy.audit",
    "update privacy.audit set reason = 'other'",
    "delete from privacy.audit",
    "truncate privacy.audit",
    "drop table privacy.audit",
    "drop schema privacy cascade",
    "alter table privacy.audit owner to crm_pipeline",
    "grant select on privacy.audit to crm_pipeline",
    "insert into privacy.audit (action, tenant_id, login) values ('EXPLAIN', 'links', 'somebody else')",
    "insert into privacy.audit (action, tenant_id, at) values ('EXPLAIN', 'links', '2020-01-01')",
    "delete from privacy.tombstones",
    "insert into privacy.tombstones values ('links', 'h', 'k', 'c', now())",
    "set role crm_privacy_owner",
    "set role crm_privacy",
)


@pytest.fixture
def audited(warehouse: Warehouse, administrator: Engine) -> Iterator[Warehouse]:
    """A warehouse with the privacy schema."""
    with administrator.begin() as connection:
        privacy_schema.create_privacy_schema(connection, warehouse.url)
        privacy_schema.create_privacy_schema(connection, warehouse.url)
    yield warehouse
    with administrator.begin() as connection:
        connection.execute(text("drop schema privacy cascade"))


def lines(engine: Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("select login, action, tenant_id from privacy.audit"))]


@pytest.mark.parametrize("statement", REFUSED)
def test_the_pipelines_role_can_only_add(audited: Warehouse, statement: str) -> None:
    with audited.engine().begin() as connection:
        privacy_schema.write_log_entry(connection, "EXPLAIN", "links")
    with audited.engine().begin() as connection, pytest.raises(ProgrammingError, match=r"permission|must be owner"):
        connection.execute(text(statement))


def test_a_line_has_the_login_that_acted(audited: Warehouse, administrator: Engine) -> None:
    with audited.engine().begin() as connection:
        privacy_schema.write_log_entry(connection, "EXPLAIN", "links", subject="hash")
    assert lines(administrator) == [("crm_pipeline", "EXPLAIN", "links")]


def test_a_persons_login_reads_the_warehouse_and_the_log_and_changes_neither(
    audited: Warehouse, administrator: Engine
) -> None:
    with administrator.begin() as connection:
        connection.execute(text("create role thandi login password 'thandi' in role crm_privacy"))
        connection.execute(text("grant connect on database crm to thandi"))
    person = create_engine(make_url(audited.url).set(username="thandi", password="thandi"), poolclass=NullPool)
    try:
        with person.begin() as connection:
            privacy_schema.write_log_entry(connection, "EXPLAIN", "links")
            assert connection.execute(text("select count(*) from crm.customer_profiles")).scalar() == 0
        assert lines(person) == [("thandi", "EXPLAIN", "links")]
        for statement in ("delete from privacy.audit", "delete from crm.customer_profiles"):
            with person.begin() as connection, pytest.raises(ProgrammingError, match="permission denied"):
                connection.execute(text(statement))
    finally:
        with administrator.begin() as connection:
            connection.execute(text("drop owned by thandi"))
            connection.execute(text("drop role thandi"))


def test_a_warehouse_without_the_privacy_schema_is_recognized(prepared: Warehouse) -> None:
    with prepared.engine().begin() as connection:
        assert not privacy_schema.has_privacy_schema(connection)
