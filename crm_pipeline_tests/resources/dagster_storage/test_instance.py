"""Opening the instance: processes that start at once all find the pools."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from crm_pipeline.cli.options import override_environment
from crm_pipeline.resources.dagster_storage.instance import create_pools, open_instance
from crm_pipeline_tests.fixtures.homes.support import clean_environment

POOLS = {"crm_source", "scl_source", "teetime_source", "messaging_source"}
AT_ONCE = 8


def test_processes_that_begin_at_once_all_find_the_pools(own_home: Path) -> None:
    with clean_environment(), open_instance(override_environment(own_home)) as instance:
        assert instance.event_log_storage.get_concurrency_keys() == POOLS
        for pool in POOLS:
            instance.event_log_storage.delete_concurrency_limit(pool)
        begin = Barrier(AT_ONCE)

        def begun() -> None:
            begin.wait()
            create_pools(instance)

        with ThreadPoolExecutor(AT_ONCE) as threads:
            for future in [threads.submit(begun) for _ in range(AT_ONCE)]:
                future.result()
        assert instance.event_log_storage.get_concurrency_keys() == POOLS
