"""What is unusual for a club, in words: a measure outside the band its last weeks gave it.

How a band is learned is `crm_pipeline.domain.measures`' business.
"""

from typing import Final

from duckdb import DuckDBPyConnection

from crm_pipeline.domain.measures import find_bands, measure


def _shown(value: str) -> str:
    return f"case kind when 'share' then printf('%.1f %%', 100 * {value}) else printf('%.0f', {value}) end"


UNUSUAL: Final = f"""
    create or replace temp table unusual as
    select tenant_id, measure as expectation, cast(not is_usual as integer) as broken, days as rows,
        case when not is_usual then concat({_shown("value")}, '; usually ', {_shown("low")}, ' to ', {_shown("high")},
            ' over ', days, ' days') end as observed
    from bands"""


def find_unusual(con: DuckDBPyConnection) -> None:
    """Create temp table `unusual` of the tenants in `judged_tenants`, shaped as `disagreements`.

    Reads what `measure` and `find_bands` say they read, and leaves their relations.
    """
    measure(con)
    find_bands(con)
    con.execute(UNUSUAL)
