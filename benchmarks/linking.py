"""How well records are linked on a sample whose truth is known: `python -m benchmarks.linking --people 100000`.

Precision is of the links that are stored, by rule and by how the first names on both sides compare. Recall is of the
pairs of records of one person that share a usable key, by the best key they share.
"""

import argparse
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyConnection
from rich.console import Console
from rich.table import Table

from crm_pipeline.domain.contact_keys.first_names import FirstNames
from crm_pipeline.domain.ingest.row_validation import parse_rows
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.run_context import RunContext
from crm_pipeline.sample import generate_sample
from crm_pipeline.sample.make import build_source_path
from crm_pipeline.steps.identities.resolution import read_records, resolve_tenants
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.sources import crm

PEOPLE_PER_CLUB: Final = 5_000
UNTIL: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
_SQL: Final = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")


class Precision(NamedTuple):
    """The links of one rule between first names that compare in one way (SAME, AGREE, DIFFER, MISSING).

    `false` join two people; of these `asked` are open as a NAMES_DIFFER review.
    """

    rule: str
    is_one_service: bool
    names: str
    links: int
    false: int
    asked: int


class Recall(NamedTuple):
    """The pairs of records of one person of which this is the best key they share, and those in one profile."""

    shares: str
    is_one_service: bool
    pairs: int
    together: int


class Linking(NamedTuple):
    """How well a sample was linked."""

    precision: list[Precision]
    recall: list[Recall]


def linking(people: int, seed: int, folder: Path, faults: float = 0.0) -> Linking:
    """Make a sample in `folder`, resolve it cold, and hold it against its truth."""
    clubs = max(1, people // PEOPLE_PER_CLUB)
    out = folder / "sample"
    generate_sample(tenants=clubs, people=people, events=0, seed=seed, out=out, until=UNTIL, faults=faults)
    lake = Lake(str(folder / "lake"), folder / "spill")
    with closing(lake.connect()) as con:
        _read(con, lake, folder / "sample")
        this = RunContext(con, lake, UNTIL, "benchmark", None)
        tenants = this.load_all_rows()
        read_records(this)
        resolve_tenants(this, tenants)
        con.read_csv(str(folder / "sample" / "truth.csv"), all_varchar=True).to_view("truth")
        con.register("disagreeing_names", _find_disagreeing_names(con))
        con.execute(_SQL)
        return Linking(_precision(con), _recall(con))


def _read(con: DuckDBPyConnection, lake: Lake, sample: Path) -> None:
    """Put the rows identity resolution needs into the lake; clubs first, since the others' dates are theirs."""
    con.execute("create temp table tenants (tenant_id varchar, timezone varchar)")
    for table in (crm.tenant, crm.identity_override, crm.suppressed_identifier, *PERSON_TABLES.values()):
        con.read_csv(str(build_source_path(sample, table)), all_varchar=True).to_view("raw", replace=True)
        parse_rows(con, table, "raw", "incoming")
        lake.replace(con, table, "incoming", tenants=None, known_at=UNTIL)


def _find_disagreeing_names(con: DuckDBPyConnection) -> pa.Table:
    """The first names on both sides of a link that disagree."""
    linked = con.sql("""
        select distinct a.comparable_first_name as first_name, b.comparable_first_name as other_name
        from found_identities i
        join people a on a.tenant_id = i.tenant_id and a.service = i.service and a.record_id = i.service_record_id
        join people b on b.tenant_id = i.tenant_id and b.service = i.linked_to_service
            and b.record_id = i.linked_to_record_id
        where a.comparable_first_name <> b.comparable_first_name""").to_arrow_table()
    names = pa.concat_arrays([*linked["first_name"].chunks, *linked["other_name"].chunks]).dictionary_encode()
    one, other = np.split(names.indices.to_numpy(), 2)
    return linked.filter(pa.array(FirstNames(names.dictionary).find_disagreements(one, other)))


def _precision(con: DuckDBPyConnection) -> list[Precision]:
    rows = con.sql("""
        select rule, is_one_service, names, count(*), count(*) filter (where is_false),
            count(*) filter (where is_false and is_asked)
        from links group by all order by all""").fetchall()
    return [Precision(*row) for row in rows]


def _recall(con: DuckDBPyConnection) -> list[Recall]:
    rows = con.sql("""
        select shares, is_one_service, count(*), count(*) filter (where is_together)
        from pairs where shares is not null group by all order by all""").fetchall()
    return [Recall(*row) for row in rows]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=float, default=0.0, help="share of the records with a fault of real input")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = linking(arguments.people, arguments.seed, Path(folder), arguments.faults)
    precision = Table("rule", "within a service", "first names", "links", "false", "asked", "precision")
    for link in found.precision:
        precision.add_row(*map(str, link), f"{1 - link.false / link.links:.4f}")
    recall = Table("shared key", "within a service", "pairs", "together", "recall")
    for pair in found.recall:
        recall.add_row(*map(str, pair), f"{pair.together / pair.pairs:.4f}")
    pairs, together = (sum(getattr(row, column) for row in found.recall) for column in ("pairs", "together"))
    recall.add_row("any", "", str(pairs), str(together), f"{together / pairs:.4f}")
    Console().print(precision, recall)


if __name__ == "__main__":
    main()
