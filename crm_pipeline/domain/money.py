"""The SQL macro of sums of money that are stored."""

from duckdb import DuckDBPyConnection

from crm_pipeline.tables.columns import MAX_SUM_CENTS


def define_stored_sum(con: DuckDBPyConnection) -> None:
    """Creates macro stored_sum(cents): a sum as BIGINT, 0 for none, within MAX_SUM_CENTS up and down."""
    con.execute(f"""
        create or replace temp macro stored_sum(cents) as
        cast(greatest(-{MAX_SUM_CENTS}, least({MAX_SUM_CENTS}, coalesce(cents, 0))) as bigint)""")
