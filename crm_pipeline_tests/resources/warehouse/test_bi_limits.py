"""What BI logins cannot use up, whose sessions end, and what a server lacks that allows it."""

from collections.abc import Iterator

import pytest
from psycopg2 import OperationalError  # type: ignore[import-untyped]
from sqlalchemy import Engine, text

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.warehouse import bi_limits
from crm_pipeline.resources.warehouse.bi_access import BiLogin, grant_bi_access
from crm_pipeline.resources.warehouse.bi_limits import end_long_transactions, end_sessions, find_shortcomings
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline_tests.fixtures.servers.bi_logins import ask_as, granted, logged_in
from crm_pipeline_tests.fixtures.servers.warehouses import a_row, connected, publish

HEATHER, FYNBOS = "heather", "fynbos"
PIPELINE = "crm_pipeline"


@pytest.fixture
def clubs(prepared: Warehouse, administrator: Engine) -> Iterator[dict[str, BiLogin]]:
    """Logins of two published clubs."""
    for number, tenant in enumerate((HEATHER, FYNBOS)):
        row = a_row(customer_profiles, tenant_id=tenant, id=f"00000000-0000-0000-0000-{number:012}")
        publish(prepared, tenant, {customer_profiles: [row]}, 1)
    with granted(administrator, prepared, HEATHER, FYNBOS) as logins:
        yield logins


def find_limits(administrator: Engine) -> dict[str, bool]:
    """Returns what the server lacks, and whether it is critical."""
    with administrator.begin() as connection:
        return {each.limit: each.is_critical for each in find_shortcomings(connection, PIPELINE)}


def test_an_embedded_server_with_logins_lacks_nothing(clubs: dict[str, BiLogin], administrator: Engine) -> None:
    assert clubs
    assert find_limits(administrator) == {}


@pytest.mark.parametrize(
    ("harm", "limit", "is_critical"),
    [
        ("grant usage on language plpgsql to public", "no code in plpgsql", True),
        ("grant temporary on database crm to public", "no temporary tables", True),
        ("grant connect on database crm to public", "no connections to the database by everybody", True),
        ("grant create on schema public to public", "no objects in schema public", True),
        ("grant execute on function pg_advisory_lock(bigint) to public", "no dangerous functions", True),
        ("grant execute on function pg_relation_size(regclass, text) to public", "no counting functions", True),
        ("grant select on pg_class to public", "no counting columns of pg_class", True),
        ("alter role {login} connection limit -1", "a connection limit for {login}", True),
        ("alter role {login} createdb", "no powers for {login}", True),
        ("alter role {login} reset temp_file_limit", "temp_file_limit for {login}", True),
        ("revoke pg_signal_backend from crm_pipeline", "role pg_signal_backend for crm_pipeline", False),
    ],
)
def test_what_is_lacking_is_found_and_the_next_grant_sets_rights_again(
    clubs: dict[str, BiLogin],
    administrator: Engine,
    prepared: Warehouse,
    harm: str,
    limit: str,
    is_critical: bool,
) -> None:
    login = clubs[HEATHER].url.partition("://")[2].partition(":")[0]
    with administrator.begin() as connection:
        connection.execute(text(harm.format(login=login)))
    assert find_limits(administrator) == {limit.format(login=login): is_critical}
    if "{login}" not in harm:
        with administrator.begin() as connection:
            grant_bi_access(connection, FYNBOS, prepared.url)
        assert find_limits(administrator) == {}


def test_a_setting_of_the_server_that_lets_values_into_its_log_is_found(
    clubs: dict[str, BiLogin], administrator: Engine
) -> None:
    assert clubs
    with administrator.begin() as connection:
        connection.execute(text("set log_min_error_statement = 'error'"))
        found = find_shortcomings(connection, PIPELINE)
    assert [(each.limit, each.is_critical) for each in found] == [
        ("setting log_min_error_statement in ('fatal', 'panic')", False)
    ]


def test_without_a_login_the_rights_of_the_public_harm_nobody(prepared: Warehouse, administrator: Engine) -> None:
    assert prepared
    with administrator.begin() as connection:
        connection.execute(text("grant usage on language plpgsql to public"))
    assert find_limits(administrator) == {}


def is_alive(connection: object) -> bool:
    try:
        with connection.cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute("select 1")
    except OperationalError:
        return False
    return True


def test_sessions_of_one_club_end_and_no_others(
    clubs: dict[str, BiLogin], administrator: Engine, prepared: Warehouse
) -> None:
    with logged_in(clubs[HEATHER]) as ours, logged_in(clubs[FYNBOS]) as theirs, connected(prepared) as pipeline:
        with administrator.begin() as connection:
            assert end_sessions(connection, [HEATHER]) == 1
        assert (is_alive(ours), is_alive(theirs)) == (False, True)
        assert pipeline.execute(text("select 1")).scalar() == 1


def test_the_pipeline_ends_old_transactions_of_logins_alone(
    clubs: dict[str, BiLogin], prepared: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with logged_in(clubs[HEATHER]) as old, logged_in(clubs[FYNBOS]) as idle, connected(prepared) as other:
        with old.cursor() as cursor:
            cursor.execute("begin")
            cursor.execute("select count(*) from customer_profiles")
        other.execute(text("select 1"))
        with connected(prepared) as pipeline:
            assert end_long_transactions(pipeline) == 0
            monkeypatch.setattr(bi_limits, "MAX_TRANSACTION_MINUTES", 0)
            assert end_long_transactions(pipeline) == 1
        assert (is_alive(old), is_alive(idle)) == (False, True)
        assert other.execute(text("select 1")).scalar() == 1


def test_a_query_that_spills_without_end_is_ended(clubs: dict[str, BiLogin], administrator: Engine) -> None:
    login = clubs[HEATHER].url.partition("://")[2].partition(":")[0]
    with administrator.begin() as connection:
        connection.execute(text(f"alter role {login} set temp_file_limit = '1MB'"))
    with pytest.raises(OperationalError, match="temporary file size exceeds"):
        ask_as(
            clubs[HEATHER],
            "select count(*) from (select n, md5(n::text) from generate_series(1, 500000) n order by 2 limit 499999) t",
        )


def test_a_failing_query_of_a_login_leaves_nothing_in_the_servers_log(
    clubs: dict[str, BiLogin], shared_server: EmbeddedPostgres
) -> None:
    server_log = shared_server.home / "postgres" / "server.log"
    before = server_log.stat().st_size
    with pytest.raises(Exception, match="invalid input syntax"):
        ask_as(clubs[HEATHER], "select 'zephyrine quillhaven'::int")
    assert b"zephyrine" not in server_log.read_bytes()[before:]
