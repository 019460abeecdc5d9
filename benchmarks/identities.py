"""Time identity resolution stage by stage: `python -m benchmarks.identities --records 2200000`.

A made-up chain of 200 clubs, resolved cold (nothing known), again (nothing changed) and after an hour (1 % of the
records changed or went). Times are seconds; memory is the peak of the whole process in MB: Python, its libraries, the
made-up tables and all that a run was given and returned.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.domain import clusters, identities
from crm_pipeline.domain.identities import Inputs, Resolution, resolve
from crm_pipeline.tables.identities import customer_identities, identity_reviews, profile_ids
from crm_pipeline.tables.projections import arrow_schema

_SEED: Final = 20261122
_TENANTS: Final = 200
_RECORDS_PER_PERSON: Final = 2.05
_HOUSEHOLDS: Final = 0.05
_OVERRIDE_COLUMNS: Final = ("tenant_id", "service_a", "record_id_a", "service_b", "record_id_b", "decision")
# Of the people: who has a record in SCL, TEETIME, MESSAGING and CRM, and the letters its ids begin with.
_SERVICES: Final = {"SCL": (0.45, ""), "TEETIME": (0.7, "p-"), "MESSAGING": (0.6, "c-"), "CRM": (0.2, "lead-")}
_STAGES: Final = {
    "read records": (identities, "read_nodes"),
    "shared values": (identities, "usable_values"),
    "decisions": (identities, "read_decisions"),
    "pairs": (identities, "matching_pairs"),
    "clusters": (identities, "find_clusters"),
    "- components": (clusters, "_components"),
    "- conflict detection": (clusters, "contested_components"),
    "- slow path": (clusters, "_separate"),
    "profile ids": (identities, "assign_profile_ids"),
    "links": (identities, "grow_links"),
    "events": (identities, "profile_events"),
    "reviews": (identities, "identity_reviews"),
}


def main() -> None:
    """Print what each stage took, for the three runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    chance = np.random.default_rng(_SEED)
    records = made_up_records(parser.parse_args().records, chance)
    con = duckdb.connect()
    pa.default_memory_pool().release_unused()
    _forget_peak()
    print(f"{len(records):,} records, {records.nbytes / 1e6:,.0f} MB; {_peak_mb():,.0f} MB in use before the first run")
    as_of = datetime(2026, 11, 22, tzinfo=UTC)
    nothing = [arrow_schema(table).empty_table() for table in (customer_identities, profile_ids, identity_reviews)]
    cold = _timed("cold", con, _inputs(records, nothing, as_of))
    known = [cold.customer_identities, cold.profile_ids, cold.identity_reviews]
    del cold
    again = _timed("again", con, _inputs(records, known, as_of + timedelta(hours=1)))
    if not again.profile_ids.equals(known[1]) or len(again.profile_events):
        sys.exit("a second run on the same records changed an id: run the tests of crm_pipeline.domain.identities")
    del again
    _timed("an hour later", con, _inputs(_an_hour_later(records, chance), known, as_of + timedelta(hours=2)))


def _inputs(records: pa.Table, previous: list[pa.Table], as_of: datetime) -> Inputs:
    tenants = pa.table({"tenant_id": _names("club-", np.arange(_TENANTS)), "min_confidence": np.full(_TENANTS, 0.85)})
    suppressed = pa.table({name: pa.array([], pa.string()) for name in ("tenant_id", "kind", "value")})
    overrides = pa.table({name: pa.array([], pa.string()) for name in _OVERRIDE_COLUMNS})
    links, ids, reviews = previous
    return Inputs(records, tenants, suppressed, overrides, links, ids, reviews, as_of, "benchmark")


def _timed(name: str, con: duckdb.DuckDBPyConnection, inputs: Inputs) -> Resolution:
    seconds: dict[str, float] = dict.fromkeys(_STAGES, 0.0)
    peaks: dict[str, float] = {}
    pa.default_memory_pool().release_unused()
    _forget_peak()
    started, used = time.perf_counter(), time.process_time()
    with _watched(seconds, peaks):
        resolution = resolve(con, inputs)
    total, used = time.perf_counter() - started, time.process_time() - used
    print(f"\n{name}: {total:.2f} s ({used:.2f} s of processor time), peak {_peak_mb():,.0f} MB")
    seconds["the rest"] = total - sum(spent for stage, spent in seconds.items() if stage[0] != "-")
    for stage, spent in seconds.items():
        print(f"  {stage:22}{spent:6.2f} s{peaks.get(stage, _peak_mb()):8,.0f} MB")
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
                peaks[stage] = _peak_mb()

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


def _peak_mb() -> float:
    """The most memory the process held at once since `_forget_peak`; Linux only."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def made_up_records(count: int, chance: np.random.Generator) -> pa.Table:
    """About `count` records of people in four services; one person in twenty shares an email or phone with the next."""
    people = int(count / _RECORDS_PER_PERSON)
    tenant = np.sort(chance.integers(0, _TENANTS, people))
    email, phone = np.arange(people), np.arange(people)
    for key in (email, phone):
        sharing = np.flatnonzero(chance.random(people - 1) < _HOUSEHOLDS / 2)
        key[sharing + 1] = key[sharing]
    tables = [_records_of(service, tenant, (email, phone), chance) for service in _SERVICES]
    records = pa.concat_tables(tables)
    return records.take(pa.array(chance.permutation(len(records)))).combine_chunks()


def _records_of(
    service: str,
    tenant: npt.NDArray[np.int64],
    keys: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    chance: np.random.Generator,
) -> pa.Table:
    share, prefix = _SERVICES[service]
    person = np.flatnonzero(chance.random(len(tenant)) < share)
    twice = person[chance.random(len(person)) < 0.01]
    person = np.concatenate([person, twice])
    has_auth = (person % 2 == 0) & (service in ("SCL", "TEETIME"))
    return pa.table(
        {
            "tenant_id": _names("club-", tenant[person]),
            "service": pa.repeat(service, len(person)),
            "record_id": _names(prefix, chance.permutation(len(person))),
            "auth_user_id": _some(_names("auth0|5f7c8ec7c33c6c004bbafe", person), has_auth),
            "email": _some(_names("golfer.", keys[0][person], "@example.com"), chance.random(len(person)) < 0.9),
            "phone_number": _some(_names("+4479", keys[1][person] + 10_000_000), chance.random(len(person)) < 0.75),
            "first_name": _names("name", (person * 2_654_435_761) % 997),
            "last_name": _names("family", (person // 3 * 40_503) % 9_973),
        }
    )


def _names(before: str, numbers: npt.NDArray[np.int64], after: str = "") -> pa.StringArray:
    return pc.binary_join_element_wise(before, pa.array(numbers).cast(pa.string()), after, "")


def _some(values: pa.StringArray, kept: npt.NDArray[np.bool_]) -> pa.StringArray:
    return pc.if_else(pa.array(kept), values, pa.scalar(None, pa.string()))


def _an_hour_later(records: pa.Table, chance: np.random.Generator) -> pa.Table:
    """Of 1 % of the records a third is gone, and two thirds have another email."""
    drawn = chance.random(len(records))
    emails = pc.if_else(
        pa.array(drawn < 0.0067), _names("new.", np.arange(len(records)), "@example.com"), records["email"]
    )
    at = records.schema.get_field_index("email")
    return records.set_column(at, "email", emails).filter(pa.array(drawn < 0.9967))


if __name__ == "__main__":
    main()
