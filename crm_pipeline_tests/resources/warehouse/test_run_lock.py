"""Which runs may run in parallel: real sessions, real processes, and one that is killed."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from crm_pipeline.resources.locking import TenantsBusyError
from crm_pipeline.resources.warehouse.run_lock import hold_tenants
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline_tests.fixtures.servers.patience import PATIENCE_SECONDS, wait_until
from crm_pipeline_tests.fixtures.servers.warehouses import ask, connected

HOLD = """
import sys
from crm_pipeline.resources.warehouse.run_lock import hold_tenants
from crm_pipeline.resources.warehouse.warehouse import Warehouse
with hold_tenants(Warehouse(sys.argv[1]), sys.argv[2], sys.argv[3:] or None, print):
    print("held", flush=True)
    sys.stdin.read()
"""
Tenants = Sequence[str] | None


def silent(_: str) -> None:
    """Discards a run's messages."""


@contextmanager
def holding(
    warehouse: Warehouse, tenants: Tenants, run_id: str = "holder00", log: Callable[[str], None] = silent
) -> Iterator[None]:
    with hold_tenants(warehouse, run_id, tenants, log, timeout_seconds=0):
        yield


def is_free(warehouse: Warehouse, tenants: Tenants) -> bool:
    try:
        with holding(warehouse, tenants, "asking00"):
            return True
    except TenantsBusyError:
        return False


@pytest.mark.parametrize(
    ("held", "wanted", "free"),
    [
        (["a", "b"], ["c", "d"], True),
        (["a", "b"], ["b", "c"], False),
        (["a"], ["a"], False),
        (["a"], None, False),
        (None, ["a"], False),
        (None, None, False),
        (["o'hara; ü"], ["o'hara; u"], True),
        (["o'hara; ü"], ["o'hara; ü"], False),
    ],
)
def test_runs_exclude_each_other_exactly_where_they_share_a_tenant(
    prepared: Warehouse,
    held: Tenants,
    wanted: Tenants,
    free: bool,
) -> None:
    with holding(prepared, held):
        assert is_free(prepared, wanted) is free
    assert is_free(prepared, wanted)


def test_a_run_that_cannot_get_all_tenants_holds_none_of_them(prepared: Warehouse) -> None:
    with holding(prepared, ["b"]):
        assert not is_free(prepared, ["a", "b"])
        assert is_free(prepared, ["a"])


def test_a_waiting_run_reports_once_which_run_it_waits_for_and_then_goes_on(
    prepared: Warehouse,
) -> None:
    messages: list[str] = []

    def wait() -> float:
        with hold_tenants(prepared, "waiter00-id", ["a", "b"], messages.append):
            return time.monotonic()

    with ThreadPoolExecutor(1) as pool:
        with holding(prepared, ["z"], "stranger"), holding(prepared, ["b"], "12345678-and-more"):
            waiter = pool.submit(wait)
            wait_until(lambda: len(messages), bool, "the message of the run that waits")
            time.sleep(1.2)
            assert not waiter.done()
            freed = time.monotonic()
        assert waiter.result(PATIENCE_SECONDS) > freed
    assert len(messages) == 1
    assert messages[0].startswith("waiting: crm-pipeline run 12345678 (pid ")
    assert messages[0].endswith(") holds a, b or some of them")
    assert "stranger" not in messages[0]


def test_a_run_of_everything_names_every_run_in_its_way(prepared: Warehouse) -> None:
    held = holding(prepared, ["a"], "first000"), holding(prepared, ["b"], "second00")
    with held[0], held[1], pytest.raises(TenantsBusyError) as refused, holding(prepared, None):
        pytest.fail("two runs hold tenants")
    assert "run first000" in str(refused.value)
    assert "run second00" in str(refused.value)
    assert str(refused.value).endswith("holds every tenant or some of them and did not finish within 0 s")


def test_waiting_ends_after_the_timeout(prepared: Warehouse) -> None:
    began = time.monotonic()
    wanted = hold_tenants(prepared, "waiter00", ["a"], silent, timeout_seconds=1)
    with holding(prepared, ["a"]), pytest.raises(TenantsBusyError, match="did not finish within 1 s"), wanted:
        pytest.fail("the tenant is held")
    assert time.monotonic() - began >= 1


def test_a_run_that_fails_frees_its_tenants(prepared: Warehouse) -> None:
    with pytest.raises(ZeroDivisionError), holding(prepared, ["a"]):
        raise ZeroDivisionError
    assert is_free(prepared, None)


def test_a_killed_run_frees_its_tenants(prepared: Warehouse) -> None:
    arguments = [sys.executable, "-c", HOLD, prepared.url, "deadbeef", "a", "b"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert not is_free(prepared, ["b"])
        child.kill()
    with hold_tenants(prepared, "next0000", ["a", "b"], silent):
        assert not is_free(prepared, ["a"])


def test_a_run_whose_connection_is_cut_goes_on_and_reports_it(prepared: Warehouse) -> None:
    messages: list[str] = []
    with holding(prepared, ["a"], "severed0", messages.append):
        with connected(prepared) as administrator:
            cut = (
                "select pg_terminate_backend(pid, 600000) from pg_stat_activity where application_name like '%severed0'"
            )
            administrator.execute(text(cut))
        assert is_free(prepared, ["a"])
    assert messages == [
        "the connection that held the tenants was lost: another run may have worked on them at the same time"
    ]


def test_holding_leaves_no_session_behind(prepared: Warehouse) -> None:
    with holding(prepared, None):
        pass
    assert ask(prepared, "select count(*) from pg_stat_activity where application_name like 'crm-pipeline run%'") == [
        (0,)
    ]
