"""Where the lake's tables lie, which versions they have, and the queries that read them: every version, or a base.

What the present is, and how it is made equal to something, belongs to `lake`; the files themselves to `lake_files`.
"""

from dataclasses import dataclass

from sqlalchemy import Table

from crm_pipeline.resources.lake_files import folded_through, lake_files
from crm_pipeline.resources.lake_rows import BOOKKEEPING, FATE, lake_columns, scan
from crm_pipeline.tables.projections import lake_name


@dataclass(frozen=True)
class LakeTables:
    """The tables under one folder, each a log and maybe a base."""

    url: str

    def path(self, table: Table) -> str:
        """Where the table's log lies."""
        return f"{self.url.rstrip('/')}/{lake_name(table)}"

    def base_path(self, table: Table) -> str:
        """Where the table's base lies, if it has one."""
        return f"{self.path(table)}_base"

    def version(self, table: Table) -> int:
        """The newest version of any row of the table; -1 where it has none. Upkeep does not move it."""
        return lake_files(self.path(table)).newest

    def next_version(self, table: Table) -> int:
        """The version that rows appended now have; 0 for the first."""
        return self.version(table) + 1

    def base_version(self, table: Table) -> int:
        """The version of the log its base is the state of; the first where none was made, -1 without a log."""
        folded = folded_through(self.base_path(table))
        return lake_files(self.path(table)).oldest if folded is None else folded

    def versions(self, table: Table, after: int = -1) -> str:
        """A query of every version of every row later than `after`.

        Files without any are left out, though reading would pass over them: DuckDB plans for as many rows as the files
        have, and joins the other way round where they seem to be more than they are.
        """
        files = lake_files(self.path(table)).after(after)
        return f"from ({scan(files, lake_columns(table) | BOOKKEEPING | FATE)}) where _version > {after}"

    def base(self, table: Table, through: int) -> str:
        """A query of the rows that `base_version` speaks of, one per key."""
        columns = lake_columns(table) | BOOKKEEPING
        if folded_through(self.base_path(table)) is not None:
            # Upkeep may have made a newer one since: what that one adds is read from the log.
            return f"from ({scan(lake_files(self.base_path(table)), columns)}) where _version <= {through}"
        # A commit never holds two rows of one key.
        log = scan(lake_files(self.path(table)).until(through), columns | FATE)
        return f"select {', '.join(columns)} from ({log}) where _version = {through} and not _deleted"
