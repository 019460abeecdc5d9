"""One run at a time over a tenant: advisory locks in the warehouse, held for as long as the run lives.

A killed run's locks go with its connection. Two runs over different tenants never wait for each other.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from crm_pipeline.resources.warehouse.warehouse import Warehouse

ALL_TENANTS_TEXT = "every tenant"
ALL_TENANTS_LOCK = "run everything"
LOCK_TIMEOUT_SECONDS = 600.0


class TenantsBusyError(Exception):
    """Another run holds these tenants and did not finish in time; the message says which run."""


@contextmanager
def hold_tenants(
    warehouse: Warehouse,
    run_id: str,
    tenants: Sequence[str] | None,
    log: Callable[[str], None],
    patience: float = LOCK_TIMEOUT_SECONDS,
) -> Iterator[None]:
    """Hold the tenants (None: all) while the body runs, after waiting for whoever holds them.

    Raises TenantsBusyError after `patience` seconds.
    """
    application = f"crm-pipeline run {run_id[:8]}"
    engine = warehouse.engine().execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("select set_config('application_name', :name, false)"), {"name": application})
        deadline = time.monotonic() + patience
        said = False
        while not _acquire_locks(connection, tenants):
            holder = (
                f"{_find_lock_holders(connection, tenants)} holds "
                f"{ALL_TENANTS_TEXT if tenants is None else ', '.join(tenants)} or some of them"
            )
            if time.monotonic() > deadline:
                raise TenantsBusyError(f"{holder} and did not finish within {patience:.0f} s")
            if not said:
                log(f"waiting: {holder}")
                said = True
            time.sleep(0.5)
        yield
        _report_lost_connection(connection, log)


def _acquire_locks(connection: Connection, tenants: Sequence[str] | None) -> bool:
    """Take all locks or none: a run of some tenants shares the lock of everything, a run of all wants it alone."""
    if tenants is None:
        locks = [("pg_try_advisory_lock", ALL_TENANTS_LOCK)]
    else:
        locks = [("pg_try_advisory_lock_shared", ALL_TENANTS_LOCK)]
        locks += [("pg_try_advisory_lock", name) for name in _build_lock_names(tenants)]
    for function, name in locks:
        taken = connection.execute(text(f"select {function}(hashtextextended(:name, 0))"), {"name": name}).scalar_one()
        if not taken:
            connection.execute(text("select pg_advisory_unlock_all()"))
            return False
    return True


def _build_lock_names(tenants: Sequence[str]) -> list[str]:
    return [f"run tenant {tenant}" for tenant in sorted(tenants)]


def _find_lock_holders(connection: Connection, tenants: Sequence[str] | None) -> str:
    """The runs that stand in the way: for a run of all whoever shares everything, else who has it or a tenant alone."""
    modes = ["ShareLock", "ExclusiveLock"] if tenants is None else ["ExclusiveLock"]
    names = connection.execute(
        text("""select distinct a.application_name || ' (pid ' || a.pid || ')' from pg_locks l
            join pg_stat_activity a using (pid) join pg_database d on d.oid = l.database
            join unnest(cast(:names as text[])) as wanted(name)
                on l.classid::bigint << 32 | l.objid::bigint = hashtextextended(name, 0)
            where l.locktype = 'advisory' and l.granted and l.mode = any(:modes) and d.datname = current_database()
            and a.pid <> pg_backend_pid() order by 1"""),
        {"names": [ALL_TENANTS_LOCK, *_build_lock_names(tenants or [])], "modes": modes},
    ).scalars()
    return ", ".join(names) or "another run"


def _report_lost_connection(connection: Connection, log: Callable[[str], None]) -> None:
    """A run that lost its locks went on safely, since publishing has locks of its own, but it may have had company."""
    try:
        connection.execute(text("select 1"))
    except DBAPIError:
        log("the connection that held the tenants was lost: another run may have worked on them at the same time")
