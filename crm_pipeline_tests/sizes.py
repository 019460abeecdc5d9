"""How large a home has become, and the process that works on it: what could grow from hour to hour."""

import os
from collections import Counter
from pathlib import Path

from deltalake import DeltaTable
from sqlalchemy import NullPool, create_engine, inspect, text

from crm_pipeline.cli.options import choose
from crm_pipeline.resources.connections import lake_of
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.tables.columns import output_metadata, source_metadata
from crm_pipeline_tests.support import ask, clean_environment


def measured(home: Path) -> Counter[str]:
    """Rows, files and bytes by the place they are in, and what this process holds."""
    with clean_environment():
        lake = lake_of(choose(home))
    found = Counter[str]()
    for table in (*source_metadata.tables.values(), *output_metadata.tables.values()):
        if DeltaTable.is_deltatable(path := lake.path(table)):
            actions = DeltaTable(path).get_add_actions(flatten=True)
            found["lake files"] += len(actions)
            found["lake rows"] += sum(actions["num_records"].to_pylist())
    found["spilled files"] = sum(file.is_file() for file in lake.spill.rglob("*"))
    found["lake bytes on disk"] = sum(file.stat().st_size for file in Path(lake.url).rglob("*") if file.is_file())
    found.update(_rows_of_dagster(home))
    found["warehouse bytes"] = ask(home, "select pg_database_size('crm')")[0][0]
    found["open files"] = len(list(Path("/proc/self/fd").iterdir()))
    found["memory MB"] = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
    return found


def _rows_of_dagster(home: Path) -> Counter[str]:
    engine = create_engine(EmbeddedPostgres(home).url("dagster"), poolclass=NullPool)
    with engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        return Counter(
            {f"dagster {t}": connection.execute(text(f"select count(*) from {t}")).scalar_one() for t in tables}
        )
