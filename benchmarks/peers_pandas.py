"""What a team would write first, on the records of `benchmarks.identities`: pandas and networkx.

Normalise, merge the records with themselves on every key, and take the connected components of the pairs. What it
leaves out is what Splink does: shared values, contradictions, overrides, ids, links and reviews.
"""

import sys
import time
from collections.abc import Iterator
from typing import Final

import networkx as nx
import pandas as pd

from benchmarks.apart import forget_peak, peak_mb, tell

_RULES: Final = {("auth_user_id",): False, ("email", "phone_number"): True, ("email",): True, ("phone_number",): True}
"""The keys, and whether only across services; as given to Splink."""


def main(path: str) -> None:
    """Load the records, link and cluster them, and tell what it took."""
    started = time.perf_counter()
    records = pd.read_parquet(path)
    loaded = time.perf_counter() - started
    forget_peak()
    started, used = time.perf_counter(), time.process_time()
    records["email"] = records["email"].str.strip().str.lower()
    records["phone_number"] = records["phone_number"].str.replace(r"[^+\d]", "", regex=True)
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(records.index)
    for left, right in _pairs(records):
        graph.add_edges_from(zip(left, right, strict=True))
    found = len(list(nx.connected_components(graph)))
    seconds, processor = time.perf_counter() - started, time.process_time() - used
    tell(loaded=loaded, seconds=seconds, processor=processor, peak=peak_mb(), found=found)


def _pairs(records: pd.DataFrame) -> Iterator[tuple[list[int], list[int]]]:
    for keys, is_across_services in _RULES.items():
        by = ["tenant_id", *keys]
        keyed = records[[*by, "service"]].dropna().reset_index(names="at")
        pairs = keyed.merge(keyed, on=by)
        pairs = pairs[pairs["at_x"] < pairs["at_y"]]
        if is_across_services:
            pairs = pairs[pairs["service_x"] != pairs["service_y"]]
        yield pairs["at_x"].to_list(), pairs["at_y"].to_list()


if __name__ == "__main__":
    main(*sys.argv[1:])
