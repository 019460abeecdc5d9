"""One run at a time over a tenant: advisory locks in the warehouse, held for as long as the run lives.

A killed run's locks go with its connection. Two runs over different tenants never wait for each other.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, text

from crm_pipeline.resources.warehouse import Warehouse

EVERYTHING = "every tenant"
PATIENCE_SECONDS = 600.0


class TenantsBusyError(Exception):
    """Another run holds these tenants and did not finish in time; the message says which run."""


@contextmanager
def hold_tenants(
    warehouse: Warehouse, run_id: str, tenants: Sequence[str] | None, log: Callable[[str], None]
) -> Iterator[None]:
    """Hold the tenants (None: all) while the body runs, after waiting for whoever holds them.

    Raises TenantsBusyError after `PATIENCE_SECONDS`.
    """
    engine = warehouse.engine()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            text("select set_config('application_name', :name, false)"), {"name": f"crm-pipeline run {run_id[:8]}"}
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        said = False
        while not _acquire(connection, tenants):
            holder = (
                f"{_holders(connection)} holds {EVERYTHING if tenants is None else ', '.join(tenants)} or some of them"
            )
            if time.monotonic() > deadline:
                raise TenantsBusyError(f"{holder} and did not finish within {PATIENCE_SECONDS:.0f} s")
            if not said:
                log(f"waiting: {holder}")
                said = True
            time.sleep(0.5)
        yield
    engine.dispose()


def _acquire(connection: Connection, tenants: Sequence[str] | None) -> bool:
    """Take all locks or none: a run of some tenants shares the lock of everything, a run of all wants it alone."""
    if tenants is None:
        locks = [("pg_try_advisory_lock", "run everything")]
    else:
        locks = [("pg_try_advisory_lock_shared", "run everything")]
        locks += [("pg_try_advisory_lock", f"run tenant {tenant}") for tenant in sorted(tenants)]
    for function, name in locks:
        taken = connection.execute(text(f"select {function}(hashtextextended(:name, 0))"), {"name": name}).scalar_one()
        if not taken:
            connection.execute(text("select pg_advisory_unlock_all()"))
            return False
    return True


def _holders(connection: Connection) -> str:
    names = connection.execute(
        text("""select distinct a.application_name || ' (pid ' || a.pid || ')' from pg_locks l
            join pg_stat_activity a using (pid) where l.locktype = 'advisory' and l.granted
            and a.pid <> pg_backend_pid() and a.application_name like 'crm-pipeline run %' order by 1""")
    ).scalars()
    return ", ".join(names) or "another run"
