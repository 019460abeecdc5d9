"""Anomalies of a club: a few measures a day, each compared with the band of its last weeks.

A band is the median of the days before, give or take 3.5 times their scaled median absolute deviation: the modified
z-score of Iglewicz and Hoaglin (How to Detect and Handle Outliers, 1993), which a few odd days do not change. It is
never narrower than a margin, so that a small club does not alarm at every new member. With too few days before,
nothing is unusual.
"""

from typing import Final, NamedTuple

from duckdb import DuckDBPyConnection

from crm_pipeline.vocabulary import LifecycleStage, LinkRule

STORED_DAYS: Final = 60
BASELINE_DAYS: Final = 28
MIN_BASELINE_DAYS: Final = 7
Z_SCORE_LIMIT: Final = 3.5
MAD_SCALE: Final = 1.4826
"""The median absolute deviation of a normal distribution times this is its standard deviation."""
ABSOLUTE_MARGIN: Final = 3
"""Rows, or days, more or less that never alarm."""
RELATIVE_MARGINS: Final = {"rows": 0.10, "share": 0.05, "days": 0.0}
"""Ten percent of the usual rows, or five points of a share, never alarm either."""


class Measure(NamedTuple):
    """One number per club and day: its kind, SQL over `counts`, meaning in words, and SQL of the unit it changes by."""

    kind: str
    sql: str
    meaning: str
    unit: str = "1"


def _build_share_measure(counted: str, whole: str, meaning: str) -> Measure:
    return Measure("share", f"coalesce({counted} / nullif({whole}, 0), 0)", meaning, f"1 / greatest({whole}, 1)")


MEASURES: Final = {
    "profiles": Measure("rows", "profiles", "The club has about as many profiles as usual."),
    "records": Measure("rows", "records", "The services have about as many records of people as usual."),
    "events": Measure("rows", "events", "The timeline has about as many events as usual."),
    "days_since_newest_event": Measure(
        "days", "days_since_event", "The newest event is not older than usual: the services still deliver."
    ),
    **{
        f"share_of_{stage.lower()}": _build_share_measure(
            f"stage_{stage.lower()}", "profiles", f"About as many profiles as usual are {stage}."
        )
        for stage in LifecycleStage
    },
    **{
        f"linked_by_{rule.lower()}": _build_share_measure(
            f"rule_{rule.lower()}", "records", f"About as many records as usual are linked by {rule}."
        )
        for rule in LinkRule
    },
}
COUNTS_SQL: Final = f"""
    create or replace temp table counts as
    select t.tenant_id, coalesce(profiles, 0) as profiles, coalesce(records, 0) as records,
        coalesce(events, 0) as events, coalesce(cast(as_of() as date) - cast(newest_at as date), 0) as days_since_event,
        p.* exclude (tenant_id, profiles), i.* exclude (tenant_id, records)
    from evaluated_tenants t
    left join (
        select tenant_id, count(*) as profiles, {
    ", ".join(f"count(*) filter (lifecycle_stage = '{stage}') as stage_{stage.lower()}" for stage in LifecycleStage)
}
        from evaluated_profiles group by tenant_id) p on p.tenant_id = t.tenant_id
    left join (
        select tenant_id, count(*) as records, {
    ", ".join(f"count(*) filter (rule = '{rule}') as rule_{rule.lower()}" for rule in LinkRule)
}
        from evaluated_identities group by tenant_id) i on i.tenant_id = t.tenant_id
    left join (
        select tenant_id, sum(events) as events, max(newest_at) as newest_at from evaluated_events group by tenant_id
    ) e on e.tenant_id = t.tenant_id"""
MEASURED_QUERY: Final = " union all ".join(
    f"""select tenant_id, '{name}' as measure, '{measure.kind}' as kind, cast({measure.sql} as double) as value,
        cast({measure.unit} as double) as unit from counts"""
    for name, measure in MEASURES.items()
)
BANDS_SQL: Final = f"""
    create or replace temp table bands as
    with past as (
        select h.* from history h
        where measured_on < cast(as_of() as date) and measured_on >= cast(as_of() as date) - {BASELINE_DAYS}
    ),
    medians as (select tenant_id, measure, median(value) as median_value, count(*) as days from past group by all),
    deviations as (
        select tenant_id, measure, median_value, days, median(abs(value - median_value)) as deviation
        from past join medians using (tenant_id, measure) group by all
    ),
    margins as (
        select m.tenant_id, m.measure, m.kind, m.value, coalesce(days, 0) as days, median_value,
            greatest({Z_SCORE_LIMIT * MAD_SCALE} * deviation, {ABSOLUTE_MARGIN} * unit, case kind {
    " ".join(
        f"when '{kind}' then {margin_share}{' * median_value' if kind == 'rows' else ''}"
        for kind, margin_share in RELATIVE_MARGINS.items()
    )
} end) as margin
        from measured m left join deviations s on s.tenant_id = m.tenant_id and s.measure = m.measure
    )
    select tenant_id, measure, kind, value, days,
        greatest(median_value - margin, 0) as low, median_value + margin as high,
        days < {MIN_BASELINE_DAYS} or (value <= high and (kind = 'days' or value >= low)) as is_usual
    from margins"""


def find_bands(con: DuckDBPyConnection) -> None:
    """Creates temp table `bands`: each row of `measured` with the band that its past gives.

    Columns: tenant_id, measure, kind, value, days (of the past), low, high, is_usual.
    Reads: measured, history (shaped as quality_measures; only rows from before today count), as_of().
    Creates: temp table bands.
    """
    con.execute(BANDS_SQL)


def _format_value_sql(value: str) -> str:
    return f"case kind when 'share' then printf('%.1f %%', 100 * {value}) else printf('%.0f', {value}) end"


ANOMALIES_SQL: Final = f"""
    create or replace temp table anomalies as
    select tenant_id, measure as expectation, cast(not is_usual as integer) as broken, days as rows,
        case when not is_usual then concat({_format_value_sql("value")}, '; usually ', {_format_value_sql("low")},
            ' to ', {_format_value_sql("high")}, ' over ', days, ' days') end as observed
    from bands"""


def find_anomalies(con: DuckDBPyConnection) -> None:
    """Creates temp table `anomalies` of the tenants in `evaluated_tenants`, shaped as `disagreements`.

    Reads: evaluated_profiles, evaluated_identities, evaluated_events (events and newest_at per profile), history,
        as_of().
    Creates: temp tables counts, measured (tenant_id, measure, kind, value, unit), bands, anomalies.
    """
    con.execute(COUNTS_SQL)
    con.execute(f"create or replace temp table measured as {MEASURED_QUERY}")
    find_bands(con)
    con.execute(ANOMALIES_SQL)
