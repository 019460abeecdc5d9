"""Splink on the records of `benchmarks.identities`: the pairs by exact rules and their connected components, no more.

Splink runs at its best at the same rules, raced by `identities.py`. Only the environment of `make bench` has it.

What Splink leaves out is its advantage: shared values, contradictions, overrides, ids, links and reviews.
"""

import sys
import time

import duckdb
from splink import DuckDBAPI, Linker, SettingsCreator

from benchmarks.apart import forget_peak, peak_mb, tell

_OF_A_TENANT = "l.tenant_id = r.tenant_id and "
_ACROSS_SERVICES = _OF_A_TENANT + "l.service <> r.service and "
_RULES = (
    _OF_A_TENANT + "l.auth_user_id = r.auth_user_id",
    _ACROSS_SERVICES + "l.email = r.email and l.phone_number = r.phone_number",
    _ACROSS_SERVICES + "l.email = r.email",
    _ACROSS_SERVICES + "l.phone_number = r.phone_number",
)


_IDS = {"--keys": "concat_ws('|', tenant_id, service, record_id)", "--numbers": "row_number() over ()"}


def main(ids: str, records: str) -> None:
    """Load the records, link and cluster them, and tell what it took."""
    con = duckdb.connect()
    started = time.perf_counter()
    con.execute(
        f"create table records as select {_IDS[ids]} as unique_id, * from read_parquet($records)", {"records": records}
    )
    api = DuckDBAPI(connection=con)
    loaded = time.perf_counter() - started
    forget_peak()
    started, used = time.perf_counter(), time.process_time()
    settings = SettingsCreator(
        link_type="dedupe_only",
        blocking_rules_to_generate_predictions=[{"blocking_rule": rule} for rule in _RULES],
        retain_matching_columns=False,
    )
    linker = Linker(api.register(con.table("records")), settings, log_level=None)
    links = linker.inference.deterministic_link()
    clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(links)
    seconds, processor = time.perf_counter() - started, time.process_time() - used
    found = clusters.as_duckdbpyrelation().aggregate("count(distinct cluster_id)").fetchall()[0][0]
    tell(loaded=loaded, seconds=seconds, processor=processor, peak=peak_mb(), found=found)


if __name__ == "__main__":
    main(*sys.argv[1:])
