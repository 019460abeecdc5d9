"""Waiting for a slot of a pool: it sleeps, says for whom, ends on signals and after a limit, and outlives no dead run.

Dagster's own wait would spin on one processor and take no signal.
"""

import logging
import time
from typing import Any, Final

from dagster import raise_execution_interrupts
from dagster._utils.concurrency import ConcurrencyClaimStatus

from crm_pipeline.resources.dagster_storage.event_batches import BatchEventLogStorage
from crm_pipeline.resources.dagster_storage.run_leases import fail_dead_runs
from crm_pipeline.resources.locking import LOCK_TIMEOUT_SECONDS, POLL_SECONDS, TenantsBusyError

LOGGER: Final = logging.getLogger(__name__)


class PatientEventLogStorage(BatchEventLogStorage):
    """Dagster's storage of events and pools."""

    def __init__(self, postgres_url: str, **options: Any) -> None:  # noqa: ANN401  Dagster's own
        super().__init__(postgres_url, **options)
        self._waits: dict[tuple[str, str], float] = {}

    def claim_concurrency_slot(
        self, concurrency_key: str, run_id: str, step_key: str, priority: int | None = None
    ) -> ConcurrencyClaimStatus:
        """Returns whether the step has a slot of the pool now; sleeps for a moment where it has none.

        Raises:
            TenantsBusyError: it has waited for `LOCK_TIMEOUT_SECONDS`.
        """
        status: ConcurrencyClaimStatus = super().claim_concurrency_slot(concurrency_key, run_id, step_key, priority)
        if status.is_claimed:
            self._waits.pop((run_id, step_key), None)
            return status
        self._report_wait(concurrency_key, run_id, step_key)
        with raise_execution_interrupts():
            time.sleep(POLL_SECONDS)
        fail_dead_runs(self._instance)
        # It has slept; Dagster would go round without a pause until any later time.
        ask_again: ConcurrencyClaimStatus = status.with_sleep_interval(0.0)
        return ask_again

    def _report_wait(self, pool: str, run_id: str, step_key: str) -> None:
        is_first = (run_id, step_key) not in self._waits
        began = self._waits.setdefault((run_id, step_key), time.monotonic())
        others = ", ".join(sorted(run[:8] for run in self.get_concurrency_info(pool).active_run_ids))
        reason = f"crm-pipeline run {others or 'that has just ended'} holds pool {pool}"
        if time.monotonic() - began > LOCK_TIMEOUT_SECONDS:
            raise TenantsBusyError(reason, LOCK_TIMEOUT_SECONDS)
        if is_first:
            LOGGER.warning("waiting: %s", reason)
