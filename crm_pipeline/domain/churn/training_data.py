"""The training data of the churn fit, as arrays per club: visitors, members of a year ago, and the months' rounds."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.churn.renewal import FLAG_TERMS, PLAY_COLUMNS, PlayDates, find_play_terms
from crm_pipeline.domain.churn.renewal_fit import MEMBER_TERM_CODES, MemberArrays
from crm_pipeline.domain.churn.seasonality import UNIFORM_MONTH_FACTORS, fit_seasonal_clock, to_clock_days

Floats = npt.NDArray[np.float64]
MonthFactors = tuple[float, ...]
TierNames = npt.NDArray[np.object_]

# The order by hash has nothing to do with who somebody is, so that the first rows are a fair sample.
VISITORS_SQL: Final = """
    select tenant_id, visit_days - 1 as repeats, visit_value / visit_days as mean_value, has_left, today,
        today - cast(first_visit_age as integer) as first_on, today - cast(last_visit_age as integer) as last_on,
        if(coalesce(-next_visit_age <= {horizon_days}, false), no_show_risk, 1.0) as no_show
    from {facts} where has_visited and has_contract is not true and had_contract is not true
    order by tenant_id, md5(id)"""
MEMBERS_SQL: Final = f"""
    select tenant_id, membership_tier, renewal_number, has_lapsed, today, {", ".join((*PLAY_COLUMNS, *FLAG_TERMS))}
    from facts_365 where has_contract and gave_notice is not true order by tenant_id, md5(id)"""
MONTHLY_ROUNDS_SQL: Final = """
    with played as (
        select tenant_id, cast(date_trunc('month', timezone(timezone, played_at)) as date) as month, count(*) as rounds
        from (
            select tenant_id, if(counts_as = 'ROUND_PLAYED', occurred_at, visit_at) as played_at from customer_timeline
            where counts_as = 'ROUND_PLAYED' or (visit_kind in ('BOOKED', 'BOOKED_PAID') and visit_at <= as_of()))
        join tenants using (tenant_id) group by all),
    months as (
        select tenant_id, unnest(generate_series(first + interval 1 month,
            date_trunc('month', timezone(timezone, as_of())) - interval 1 month, interval 1 month)) as month
        from (select tenant_id, min(month) as first from played group by all) join tenants using (tenant_id))
    select tenant_id, min(m.month) as first, list(coalesce(rounds, 0) order by m.month) as rounds
    from months m left join played p using (tenant_id, month) group by all order by all"""


class VisitorArrays(NamedTuple):
    """One club's visitors without a membership, in an order without bias; times in days of the club's clock.

    `no_show` is the chance that a visit planned within the horizon comes to nothing, 1 where none is planned.
    """

    frequency: Floats
    recency: Floats
    age: Floats
    horizon: Floats
    quiet_days: Floats
    mean_value: Floats
    no_show: Floats
    has_left: npt.NDArray[np.bool_]

    def select_first(self, max_rows: int) -> "VisitorArrays":
        """Returns the first visitors, at most `max_rows`."""
        return self.select_rows(slice(max_rows))

    def select_rows(self, rows: slice | npt.NDArray[np.bool_]) -> "VisitorArrays":
        """Returns the selected visitors."""
        return VisitorArrays(*(column[rows] for column in self))  # type: ignore[arg-type]


class SeasonFit(NamedTuple):
    """A club's twelve month factors, None for plain days, and the rounds of the full months they were fitted to."""

    month_factors: MonthFactors | None
    rounds: int


def read_seasons(con: DuckDBPyConnection) -> dict[str, SeasonFit]:
    """Returns every club's season as of as_of().

    Reads: customer_timeline, tenants, as_of().
    """
    return {
        tenant: SeasonFit(fit_seasonal_clock(np.datetime64(first, "M"), rounds), sum(rounds))
        for tenant, first, rounds in con.sql(MONTHLY_ROUNDS_SQL).fetchall()
    }


def read_visitors(
    con: DuckDBPyConnection, facts: str, seasons: Mapping[str, SeasonFit], horizon_days: int
) -> dict[str, VisitorArrays]:
    """Returns every club's visitors, and whether they left within the horizon.

    Reads: relation `facts`.
    """
    rows = con.sql(VISITORS_SQL.format(facts=facts, horizon_days=horizon_days)).to_arrow_table()
    tenants, tenant_index = _encode_names(rows["tenant_id"])
    today, first, last = (rows[name].to_numpy().astype("M8[D]") for name in ("today", "first_on", "last_on"))
    in_horizon = today + np.timedelta64(horizon_days, "D")
    now, first_visit, last_visit, horizon_end = to_clock_days(
        _stack_month_factors(seasons, tenants), tenant_index, today, first, last, in_horizon
    )
    visitors = VisitorArrays(
        frequency=rows["repeats"].to_numpy().astype(np.float64),
        recency=last_visit - first_visit,
        age=now - first_visit,
        horizon=horizon_end - now,
        quiet_days=(today - last).astype(np.float64),
        mean_value=rows["mean_value"].to_numpy().astype(np.float64),
        no_show=rows["no_show"].to_numpy().astype(np.float64),
        has_left=np.asarray(rows["has_left"].to_numpy(), dtype=np.bool_),
    )
    return {tenant: visitors.select_rows(tenant_index == index) for index, tenant in enumerate(tenants)}


def _stack_month_factors(seasons: Mapping[str, SeasonFit], tenants: Sequence[str]) -> Floats:
    """Returns the month factors (k, 12) of the tenants, 1 for plain days."""
    factors = [(tenant in seasons and seasons[tenant].month_factors) or UNIFORM_MONTH_FACTORS for tenant in tenants]
    return np.array(factors, dtype=np.float64).reshape(-1, len(UNIFORM_MONTH_FACTORS))


def read_members(
    con: DuckDBPyConnection, seasons: Mapping[str, SeasonFit]
) -> tuple[dict[str, MemberArrays], dict[str, TierNames]]:
    """Returns every club's members of a year ago, and the tier of each, None where there is none.

    Reads: facts_365.
    """
    rows = con.sql(MEMBERS_SQL).to_arrow_table()
    tenants, tenant_index = _encode_names(rows["tenant_id"])
    flags = {code: rows[code].fill_null(False).to_numpy() for code in FLAG_TERMS}
    flags |= find_play_terms(PlayDates.from_rows(rows), _stack_month_factors(seasons, tenants), tenant_index)
    members = MemberArrays(
        renewal_number=rows["renewal_number"].fill_null(1).to_numpy().astype(np.float64),
        term_flags=np.column_stack([flags[code].astype(np.float64) for code in MEMBER_TERM_CODES]),
        has_lapsed=rows["has_lapsed"].to_numpy().astype(np.float64),
    )
    tiers = np.array(rows["membership_tier"].to_pylist(), dtype=np.object_)
    return (
        {tenant: members.select_rows(tenant_index == index) for index, tenant in enumerate(tenants)},
        {tenant: tiers[tenant_index == index] for index, tenant in enumerate(tenants)},
    )


def _encode_names(names: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.intp]]:
    coded = names.combine_chunks().dictionary_encode()
    return coded.dictionary.to_pylist(), np.asarray(coded.indices, dtype=np.intp)
