"""Time identity resolution stage by stage: `python -m benchmarks.identity_stages --records 2200000`.

A made-up chain of 200 clubs, resolved cold (nothing known), again (nothing changed) and after an hour (1 % of the
records changed or went). Times are seconds; memory is the peak of the whole process in MB: Python, its libraries, the
made-up tables and all that a run was given and returned.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

import duckdb
import numpy as np
import pyarrow.compute as pc

from benchmarks.apart import forget_peak, peak_mb
from benchmarks.identity_world import SEED, an_hour_later, inputs, made_up_records, nothing_known
from crm_pipeline.domain.identity import clustering
from crm_pipeline.domain.identity import resolve as resolve_module
from crm_pipeline.domain.identity.resolve import Resolution, ResolutionInputs, resolve_identities

_STAGES: Final = {
    "read records": (resolve_module, "read_nodes"),
    "shared values": (resolve_module, "find_match_keys"),
    "decisions": (resolve_module, "read_decisions"),
    "pairs": (resolve_module, "find_matching_pairs"),
    "clusters": (resolve_module, "find_clusters"),
    "- components": (clustering, "_find_components"),
    "- conflict detection": (clustering, "find_conflicting_components"),
    "- slow path": (clustering, "_resolve_conflicting_nodes"),
    "profile ids": (resolve_module, "assign_profile_ids"),
    "links": (resolve_module, "build_link_tree"),
    "events": (resolve_module, "build_profile_events"),
    "reviews": (resolve_module, "build_identity_reviews"),
}


def main() -> None:
    """Print what each stage took, for the three runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    chance = np.random.default_rng(SEED)
    records = made_up_records(parser.parse_args().records, chance)
    con = duckdb.connect()
    forget_peak()
    print(f"{len(records):,} records, {records.nbytes / 1e6:,.0f} MB; {peak_mb():,.0f} MB in use before the first run")
    cold = _timed("cold", con, inputs(records, nothing_known()))
    known = [cold.customer_identities, cold.profile_ids, cold.identity_reviews]
    del cold
    again = _timed("again", con, inputs(records, known, 1))
    if not again.profile_ids.equals(known[1]) or len(again.profile_events):
        sys.exit("a second run on the same records changed an id: run the tests of crm_pipeline.domain.identities")
    del again
    _timed("an hour later", con, inputs(an_hour_later(records, chance), known, 2))


def _timed(name: str, con: duckdb.DuckDBPyConnection, inputs: ResolutionInputs) -> Resolution:
    seconds: dict[str, float] = dict.fromkeys(_STAGES, 0.0)
    peaks: dict[str, float] = {}
    forget_peak()
    started, used = time.perf_counter(), time.process_time()
    with _watched(seconds, peaks):
        resolution = resolve_identities(con, inputs)
    total, used = time.perf_counter() - started, time.process_time() - used
    print(f"\n{name}: {total:.2f} s ({used:.2f} s of processor time), peak {peak_mb():,.0f} MB")
    seconds["the rest"] = total - sum(spent for stage, spent in seconds.items() if stage[0] != "-")
    for stage, spent in seconds.items():
        print(f"  {stage:22}{spent:6.2f} s{peaks.get(stage, peak_mb()):8,.0f} MB")
    live, kinds = pc.sum(resolution.profile_ids["is_live"]), resolution.identity_reviews["kind"].value_counts()
    asked = ", ".join(f"{kind['counts']} {kind['values']}" for kind in kinds.to_pylist())
    print(f"  {live} profiles, {len(resolution.profile_events)} events; asked: {asked}")
    return resolution


@contextmanager
def _watched(seconds: dict[str, float], peaks: dict[str, float]) -> Iterator[None]:
    """Every stage adds its time to `seconds` and leaves the peak so far in `peaks`."""

    def watch(stage: str, function: Any) -> Any:  # noqa: ANN401
        def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[stage] += time.perf_counter() - started
                peaks[stage] = peak_mb()

        return timed

    patches = [
        patch.object(module, name, watch(stage, getattr(module, name))) for stage, (module, name) in _STAGES.items()
    ]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


if __name__ == "__main__":
    main()
