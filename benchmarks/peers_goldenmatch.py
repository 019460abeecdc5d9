"""GoldenMatch's exact path on the records of `benchmarks.identities`: one exact match key per rule, and clusters.

Raced by `identities.py`. Only the environment of `make bench` has GoldenMatch.

It matches within a service too, which we and Splink do for logins alone: it has no rule that looks at two columns of
both sides. What it leaves out is what Splink does, and it makes a golden record of every cluster, which is not asked
of it but not to be had without. The keys are made before it is timed.
"""

import logging
import os
import sys
import time
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.apart import forget_peak, peak_mb, tell

_KEYS: Final = (("auth_user_id",), ("email", "phone_number"), ("email",), ("phone_number",))


def main(path: str) -> None:
    """Load the records, match and cluster them, and tell what it took; it prints, so it prints elsewhere."""
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    import goldenmatch  # noqa: PLC0415  it may print already

    logging.disable(logging.WARNING)
    started = time.perf_counter()
    keyed = _keyed(pq.read_table(path))
    loaded = time.perf_counter() - started
    forget_peak()
    started, used = time.perf_counter(), time.process_time()
    found = goldenmatch.dedupe_df(keyed, exact=keyed.column_names)
    seconds, processor = time.perf_counter() - started, time.process_time() - used
    sys.stdout.flush()
    os.dup2(answers, sys.stdout.fileno())
    tell(loaded=loaded, seconds=seconds, processor=processor, peak=peak_mb(), found=found.stats["total_entities"])


def _keyed(records: pa.Table) -> pa.Table:
    """A column per rule: the tenant and what has to be equal, empty where a part of it is."""
    return pa.table(
        {
            "_and_".join(columns): pc.binary_join_element_wise(
                *(records[name] for name in ("tenant_id", *columns)), "|", null_handling="emit_null"
            )
            for columns in _KEYS
        }
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
