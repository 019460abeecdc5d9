"""What the churn fit learns from, in arrays: visitors, members of a year ago, and the months' rounds, club by club.

Here: who belongs to each, read from relations of facts. Not here: the facts (`facts.sql`, of an earlier day through
`hindsight`), and the fit (`churn_fit`).
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.churn.renewal_fit import CODES, Members
from crm_pipeline.domain.churn.seasonality import PLAIN_DAYS, clock_readings, seasonal_clock

Floats = npt.NDArray[np.float64]
Clock = tuple[float, ...]
Tiers = npt.NDArray[np.object_]

# In an order that has nothing to do with who somebody is, so that the first ones are a fair sample.
VISITORS: Final = """
    select tenant_id, transaction_days - 1 as repeats, paid_value / transaction_days as mean_value, has_left, today,
        today - cast(first_transaction_age as integer) as first_on,
        today - cast(last_transaction_age as integer) as last_on
    from {facts} where has_transacted and has_contract is not true and had_contract is not true
    order by tenant_id, md5(id)"""
MEMBERS: Final = f"""
    select tenant_id, membership_tier, renewal_number, has_lapsed, {", ".join(CODES)}
    from facts_365 where has_contract and gave_notice is not true order by tenant_id, md5(id)"""
ROUNDS: Final = """
    with played as (
        select tenant_id, cast(date_trunc('month', timezone(timezone, occurred_at)) as date) as month,
            count(*) as rounds
        from customer_timeline join tenants using (tenant_id) where counts_as = 'ROUND_PLAYED' group by all),
    months as (
        select tenant_id, unnest(generate_series(first + interval 1 month,
            date_trunc('month', timezone(timezone, as_of())) - interval 1 month, interval 1 month)) as month
        from (select tenant_id, min(month) as first from played group by all) join tenants using (tenant_id))
    select tenant_id, min(m.month) as first, list(coalesce(rounds, 0) order by m.month) as rounds
    from months m left join played p using (tenant_id, month) group by all order by all"""


class Visitors(NamedTuple):
    """One club's visitors without a membership, the fairest sample first; times in days of the club's clock."""

    frequency: Floats
    recency: Floats
    age: Floats
    horizon: Floats
    quiet_days: Floats
    mean_value: Floats
    has_left: npt.NDArray[np.bool_]

    def first(self, most: int) -> "Visitors":
        """The first ones."""
        return self.among(slice(most))

    def among(self, which: slice | npt.NDArray[np.bool_]) -> "Visitors":
        """Some of them."""
        return Visitors(*(column[which] for column in self))  # type: ignore[arg-type]


class Season(NamedTuple):
    """A club's clock, None for plain days, and the rounds of the full months it was looked for in."""

    clock: Clock | None
    rounds: int


def read_seasons(con: DuckDBPyConnection) -> dict[str, Season]:
    """Every club's season from relation customer_timeline, as of as_of()."""
    return {
        tenant: Season(seasonal_clock(np.datetime64(first, "M"), rounds), sum(rounds))
        for tenant, first, rounds in con.sql(ROUNDS).fetchall()
    }


def read_visitors(
    con: DuckDBPyConnection, facts: str, seasons: Mapping[str, Season], horizon_days: int
) -> dict[str, Visitors]:
    """Every club's visitors in relation `facts`, and whether they left within the horizon."""
    found = con.sql(VISITORS.format(facts=facts)).to_arrow_table()
    clubs, club = _coded(found["tenant_id"])
    clocks = np.array([_clock(seasons, name) for name in clubs]).reshape(-1, len(PLAIN_DAYS))
    today, first, last = (found[name].to_numpy().astype("M8[D]") for name in ("today", "first_on", "last_on"))
    then = today + np.timedelta64(horizon_days, "D")
    now, begun, seen, later = clock_readings(clocks, club, today, first, last, then)
    whole = Visitors(
        frequency=found["repeats"].to_numpy().astype(np.float64),
        recency=seen - begun,
        age=now - begun,
        horizon=later - now,
        quiet_days=(today - last).astype(np.float64),
        mean_value=found["mean_value"].to_numpy().astype(np.float64),
        has_left=np.asarray(found["has_left"].to_numpy(), dtype=np.bool_),
    )
    return {name: whole.among(club == place) for place, name in enumerate(clubs)}


def _clock(seasons: Mapping[str, Season], tenant: str) -> Clock:
    season = seasons.get(tenant)
    return (season and season.clock) or PLAIN_DAYS


def read_members(con: DuckDBPyConnection) -> tuple[dict[str, Members], dict[str, Tiers]]:
    """Every club's members of a year ago (relation facts_365), and the tier of each, None where there is none."""
    found = con.sql(MEMBERS).to_arrow_table()
    clubs, club = _coded(found["tenant_id"])
    whole = Members(
        renewal_number=found["renewal_number"].fill_null(1).to_numpy().astype(np.float64),
        signs=np.column_stack([found[code].fill_null(False).to_numpy().astype(np.float64) for code in CODES]),
        has_lapsed=found["has_lapsed"].to_numpy().astype(np.float64),
    )
    tiers = np.array(found["membership_tier"].to_pylist(), dtype=np.object_)
    return (
        {name: whole.among(club == place) for place, name in enumerate(clubs)},
        {name: tiers[club == place] for place, name in enumerate(clubs)},
    )


def _coded(names: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.intp]]:
    coded = names.combine_chunks().dictionary_encode()
    return coded.dictionary.to_pylist(), np.asarray(coded.indices, dtype=np.intp)
