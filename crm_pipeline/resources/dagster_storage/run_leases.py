"""The lease of a run: a lock in Dagster's database that the run's own process keeps, so that any host sees its death.

PostgreSQL gives the lock up with the connection: at once where the process was killed, after half a minute where its
machine is gone. No clocks are compared, and no process id, which another host or process may have too.
"""

from datetime import datetime
from typing import Any, Final, cast

import dagster as dg
from dagster_postgres.run_storage import PostgresRunStorage
from sqlalchemy import Connection, NullPool, create_engine, text

UNDER_WAY: Final = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
ENDS: Final = {
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
}
LEASE_KEY_SQL: Final = "hashtextextended('lease of run ' || :run_id, 0)"
KEEPALIVE: Final = "-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"


def fail_dead_runs(instance: dg.DagsterInstance) -> None:
    """Marks the runs of dead processes failed, and frees the slots of pools that ended runs hold, for others to run."""
    for run in cast("LeasedRunStorage", instance.run_storage).find_dead_runs():
        instance.report_run_failed(run, "its process ended without a word")
    for run_id in instance.event_log_storage.get_concurrency_run_ids():
        holder = instance.get_run_by_id(run_id)
        if holder is None or holder.is_finished:
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)


class LeasedRunStorage(PostgresRunStorage):
    """Dagster's storage of runs; the process that starts a run takes its lease before the run is seen as started."""

    def __init__(self, postgres_url: str, **options: Any) -> None:  # noqa: ANN401  Dagster's own
        super().__init__(postgres_url, **options)
        self._leases: dict[str, Connection] = {}

    def handle_run_event(self, run_id: str, event: dg.DagsterEvent, update_timestamp: datetime | None = None) -> None:
        """Stores the run's new status, after taking its lease where it starts and before giving it up where it ends."""
        if event.event_type is dg.DagsterEventType.RUN_START:
            self._leases[run_id] = self._take_lease(run_id)
        super().handle_run_event(run_id, event, update_timestamp)
        if event.event_type in ENDS and (lease := self._leases.pop(run_id, None)):
            lease.close()

    def find_dead_runs(self) -> list[dg.DagsterRun]:
        """Returns the runs that are under way and whose lease nobody has."""
        runs = self.get_runs(UNDER_WAY)
        with self.connect() as connection:
            free = {run.run_id for run in runs if not _is_leased(connection, run.run_id)}
        # Read again after the leases: a run that ended in between gave its up.
        return [run for run in self.get_runs(UNDER_WAY) if run.run_id in free] if free else []

    def _take_lease(self, run_id: str) -> Connection:
        options = {"application_name": f"crm-pipeline run {run_id[:8]}", "options": KEEPALIVE}
        engine = create_engine(self.postgres_url, poolclass=NullPool, connect_args=options)
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text(f"select pg_advisory_lock_shared({LEASE_KEY_SQL})"), {"run_id": run_id})
        return connection


def _is_leased(connection: Connection, run_id: str) -> bool:
    is_free = text(f"select pg_try_advisory_xact_lock({LEASE_KEY_SQL})")
    return not connection.execute(is_free, {"run_id": run_id}).scalar_one()
