"""Race identity resolution against its peers on the same records in the same run: `python -m benchmarks.identities`.

Ours is all of `resolve`, cold: conflicts, links, ids, events and reviews. Splink's is deterministic linking by the same
exact rules and connected components alone, twice: with the records' keys as its ids, which is what a service hands over
and what can be joined back, and with whole numbers made beforehand. GoldenMatch goes its exact path on these keys; what
a team would write first is pandas and networkx. Each runs in new processes, in turns; the best of each counts. Loading
the records is apart; so is writing what we found to the lake, which the peers have no part in.

Needs the peers: run it by `make bench`. Which stage of ours takes what is measured by `benchmarks.identity_stages`.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.apart import forget_peak, measured, peak_mb, tell
from benchmarks.identity_world import SEED, inputs, made_up_records, nothing_known
from benchmarks.results import AT_LEAST, Row, keep
from crm_pipeline.domain.identity.resolve import Resolution, ResolutionInputs, resolve_identities
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.tables.outputs.identity import customer_identities, identity_reviews, profile_events, profile_ids

_OURS: Final = "resolve"
_CONTESTANTS: Final = {
    _OURS: (__spec__.name, "--resolve"),
    "Splink, keys": ("benchmarks.peers_splink", "--keys"),
    "Splink, numbers": ("benchmarks.peers_splink", "--numbers"),
    "GoldenMatch, exact": ("benchmarks.peers_goldenmatch",),
    "pandas + networkx": ("benchmarks.peers_pandas",),
}
_REQUIRED: Final = {"Splink, keys": 1.5, "GoldenMatch, exact": 10.0}
_ASKED_FROM: Final = 2_000_000
"""Records. Below, all are a matter of a second, and nothing is asked for."""
_FIGURES: Final = {"loading s": "loaded", "s": "seconds", "processor s": "processor", "peak MB": "peak"}


def main() -> None:
    """Print what each took, and our part of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=2_200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--resolve", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.resolve:
        _run(given.resolve)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.parquet"
        records = made_up_records(given.records, np.random.default_rng(SEED))
        pq.write_table(records, path)
        runs = [(name, measured(*how, str(path))) for _ in range(given.rounds) for name, how in _CONTESTANTS.items()]
    print(f"{len(records):,} records in {len(set(records['tenant_id'].to_pylist()))} tenants, best of {given.rounds}")
    best = {name: _best([run for each, run in runs if each == name]) for name in _CONTESTANTS}
    print(f"{'':18}" + "".join(f"{label:>14}" for label in _FIGURES))
    for name, figures in best.items():
        print(f"{name:18}" + "".join(f"{figures[key]:14,.1f}" for key in _FIGURES.values()))
    ours = best.pop(_OURS)
    for name, theirs in best.items():
        speed, processor, memory = (theirs[key] / ours[key] for key in ("seconds", "processor", "peak"))
        print(
            f"{name}: {speed:.2f} times our time, {processor:.2f} times our processor time; our peak {1 / memory:.0%}"
        )
    is_met = keep(__spec__.name, list(_rows(len(records), ours, best)), given.records)
    print(f"writing to the lake, apart: {ours['written']:.1f} s for {ours['rows']:,} rows; {ours['asked']:,} reviews")
    sys.exit(not is_met)


def _rows(records: int, ours: dict[str, Any], best: dict[str, dict[str, Any]]) -> Iterator[Row]:
    for name, theirs in best.items():
        required = _REQUIRED.get(name) if records >= _ASKED_FROM else None
        seconds, peak = ours["seconds"], ours["peak"]
        yield Row("identities", records, "records", seconds, name, theirs["seconds"], AT_LEAST, required, peak)


def _best(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The least of each figure."""
    return {figure: min(run[figure] for run in runs) for figure in runs[0]}


def _run(path: Path) -> None:
    started = time.perf_counter()
    # One copy of the records and nothing that was needed to read them: as the pipeline hands them over.
    records = pq.read_table(path).combine_chunks()
    given = inputs(records, nothing_known())
    con, loaded = duckdb.connect(), time.perf_counter() - started
    forget_peak()
    started, used = time.perf_counter(), time.process_time()
    found = resolve_identities(con, given)
    seconds, processor, peak = time.perf_counter() - started, time.process_time() - used, peak_mb()
    started = time.perf_counter()
    rows = _write(given, found)
    written, asked = time.perf_counter() - started, len(found.identity_reviews)
    tell(loaded=loaded, seconds=seconds, processor=processor, peak=peak, written=written, rows=rows, asked=asked)


def _write(given: ResolutionInputs, found: Resolution) -> int:
    """Keep what was found in a new lake, and return how many rows that were."""
    flags = {name: found.shared_values[name] for name in ("email_is_shared", "phone_is_shared")}
    flags["is_primary"] = pa.repeat(False, len(found.customer_identities))
    columns = dict(zip(found.customer_identities.column_names, found.customer_identities.columns, strict=True)) | flags
    tables = {
        customer_identities: pa.table(columns),
        profile_ids: found.profile_ids,
        profile_events: found.profile_events,
        identity_reviews: found.identity_reviews,
    }
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(f"{folder}/lake", Path(folder) / "spill")
        with lake.connect() as con:
            for table, rows in tables.items():
                con.register("found", rows)
                lake.replace(con, table, "found", tenants=given.tenants["tenant_id"].to_pylist(), known_at=given.as_of)
    return sum(len(rows) for rows in tables.values())


if __name__ == "__main__":
    main()
