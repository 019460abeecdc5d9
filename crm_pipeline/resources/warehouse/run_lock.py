"""Advisory locks in the warehouse that allow one run at a time per tenant.

A killed run loses its locks with its connection. Runs of different tenants never wait for each other.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from crm_pipeline.resources.locking import LOCK_TIMEOUT_SECONDS, wait_for_tenants
from crm_pipeline.resources.warehouse.warehouse import Warehouse

ALL_TENANTS_TEXT = "every tenant"
ALL_TENANTS_LOCK = "run everything"


@contextmanager
def hold_tenants(
    warehouse: Warehouse,
    run_id: str,
    tenants: Sequence[str] | None,
    log: Callable[[str], None],
    timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
) -> Iterator[None]:
    """Holds the locks of the tenants (None: all) while the body runs, after waiting for other runs.

    Raises:
        TenantsBusyError: another run still holds them after `timeout_seconds`.
    """
    application = f"crm-pipeline run {run_id[:8]}"
    engine = warehouse.engine().execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("select set_config('application_name', :name, false)"), {"name": application})
        wait_for_tenants(lambda: _try_acquire(connection, tenants), log, timeout_seconds)
        try:
            yield
        finally:
            _release_locks(connection, log)


def _try_acquire(connection: Connection, tenants: Sequence[str] | None) -> str | None:
    """Returns None once all locks are acquired, else in words who holds some of them."""
    if _acquire_locks(connection, tenants):
        return None
    wanted = ALL_TENANTS_TEXT if tenants is None else ", ".join(tenants)
    return f"{_find_lock_holders(connection, tenants)} holds {wanted} or some of them"


def _acquire_locks(connection: Connection, tenants: Sequence[str] | None) -> bool:
    """Whether all locks were acquired; otherwise none is held.

    A run of some tenants shares the lock of all tenants, a run of all holds it exclusively.
    """
    if tenants is None:
        locks = [("pg_try_advisory_lock", ALL_TENANTS_LOCK)]
    else:
        locks = [("pg_try_advisory_lock_shared", ALL_TENANTS_LOCK)]
        locks += [("pg_try_advisory_lock", name) for name in _build_lock_names(tenants)]
    for function, name in locks:
        query = text(f"select {function}(hashtextextended(:name, 0))")
        is_acquired = connection.execute(query, {"name": name}).scalar_one()
        if not is_acquired:
            connection.execute(text("select pg_advisory_unlock_all()"))
            return False
    return True


def _build_lock_names(tenants: Sequence[str]) -> list[str]:
    return [f"run tenant {tenant}" for tenant in sorted(tenants)]


def _find_lock_holders(connection: Connection, tenants: Sequence[str] | None) -> str:
    """Returns the runs that hold a conflicting lock: for a run of all tenants every sharer of the common lock too."""
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


def _release_locks(connection: Connection, log: Callable[[str], None]) -> None:
    """Releases the locks at once; PostgreSQL ends a closed session only some time later.

    Logs that they were lost during the run, which did no harm because publishing has its own locks.
    """
    try:
        connection.execute(text("select pg_advisory_unlock_all()"))
    except DBAPIError:
        log("the connection that held the tenants was lost: another run may have worked on them at the same time")
