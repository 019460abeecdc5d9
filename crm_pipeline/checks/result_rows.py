"""Results of the suites and measures of the clubs as rows for the pages of Data Docs, with the words for each."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from duckdb import DuckDBPyConnection

from crm_pipeline.checks.anomalies import MEASURES, MIN_BASELINE_DAYS
from crm_pipeline.checks.expectations import ANOMALY_SUITE, MEANINGS, SUITES, Suite

MAX_SHOWN_ROWS: Final = 1_000
"""Broken expectations listed on a page; if there are more, the pipeline is at fault and the first ones show it."""
COUNTED_MEASURES: Final = tuple(name for name, measure in MEASURES.items() if measure.kind == "rows")
TREND_WIDTH, TREND_HEIGHT = 120, 24
HOLDS, TOO_EARLY = "holds", "too early"
Row = dict[str, Any]


class Trend(NamedTuple):
    """A measure of a club over its days: the first and the last value, and the points of a line in a small picture."""

    measure: str
    since: str
    first: int
    last: int
    points: str


def format_severity(is_critical: bool) -> str:
    """Returns the word for the severity of a broken expectation."""
    return "critical" if is_critical else "warning"


def read_suite_summary(con: DuckDBPyConnection, results: str, suite: Suite) -> Row:
    """Returns the suite with the numbers of tenants evaluated, breaking an expectation, and known for too short."""
    (counts,) = read_rows(
        con,
        f"""select count(distinct tenant_id) as tenants, count(distinct tenant_id) filter (not success) as breaking,
                count(distinct tenant_id) filter ({_build_too_early_sql()}) as too_early
            from {results} where suite = $suite""",
        suite=suite.name,
    )
    return {
        **counts,
        "name": suite.name,
        "severity": format_severity(suite.is_critical),
        "expectations": len(suite.expectations),
    }


def read_expectations(con: DuckDBPyConnection, results: str, suite: Suite) -> list[Row]:
    """Returns each evaluated expectation: meaning, breaking, too_early, holding (tenants), broken (rows)."""
    query = f"""
        select expectation, count(*) filter (not success) as breaking,
            count(*) filter ({_build_too_early_sql()}) as too_early, count(*) - breaking - too_early as holding,
            cast(sum(unexpected_count) as bigint) as broken
        from {results} where suite = $suite group by expectation"""
    counts = {row["expectation"]: row for row in read_rows(con, query, suite=suite.name)}
    return [counts[spec.name] | {"meaning": spec.meaning} for spec in suite.expectations if spec.name in counts]


def read_broken_expectations(con: DuckDBPyConnection, results: str, suite: Suite | None = None) -> list[Row]:
    """Returns the broken expectations of all tenants, the critical ones first."""
    suite_condition = f"and suite = '{suite.name}'" if suite else ""
    order = "not is_critical, suite, expectation, tenant_id"
    query = f"from {results} where not success {suite_condition} order by {order} limit {MAX_SHOWN_ROWS}"
    return [_add_words(row) for row in read_rows(con, query)]


def read_tenant_results(con: DuckDBPyConnection, results: str, tenants: Sequence[str]) -> dict[str, list[Row]]:
    """Returns every result of these tenants, by tenant, suite by suite."""
    by_tenant: dict[str, list[Row]] = defaultdict(list)
    order = ", ".join(f"suite = '{suite.name}' desc" for suite in SUITES)
    query = f"from {results} where tenant_id in (select unnest($tenants)) order by {order}, expectation"
    for row in read_rows(con, query, tenants=list(tenants)):
        by_tenant[row["tenant_id"]].append(_add_words(row))
    return by_tenant


def read_suite_cells(con: DuckDBPyConnection, results: str) -> dict[str, dict[str, Row]]:
    """Returns by tenant and suite how it went, in words with their style, and the hour it was checked as of."""
    cells: dict[str, dict[str, Row]] = defaultdict(dict)
    query = f"""
        select tenant_id, suite, bool_or(is_critical) as is_critical, count(*) filter (not success) as broken,
            max(rows) as rows, strftime(max(checked_at), '%Y-%m-%d %H:%M') as checked_at
        from {results} group by tenant_id, suite"""
    for row in read_rows(con, query):
        words = f"{row['broken']} broken" if row["broken"] else _describe_success(row)
        severity = format_severity(row["is_critical"]) if row["broken"] else ""
        style = "good" if words == HOLDS else severity
        cells[row["tenant_id"]][row["suite"]] = {"words": words, "style": style, "checked_at": row["checked_at"]}
    return cells


def read_trends(con: DuckDBPyConnection, measures: str) -> dict[str, list[Trend]]:
    """Returns by tenant the trends of its numbers of rows.

    Reads: measures (shaped as quality_measures).
    """
    trends: dict[str, list[Trend]] = defaultdict(list)
    query = f"""
        select tenant_id, measure, list(value order by measured_on) as daily,
            strftime(min(measured_on), '%Y-%m-%d') as since
        from {measures} where measure in (select unnest($names)) group by tenant_id, measure"""
    for row in read_rows(con, query, names=list(COUNTED_MEASURES)):
        first, last = round(row["daily"][0]), round(row["daily"][-1])
        trend = Trend(row["measure"], row["since"], first, last, build_trend_points(row["daily"]))
        trends[row["tenant_id"]].append(trend)
    return {
        tenant: sorted(found, key=lambda trend: COUNTED_MEASURES.index(trend.measure))
        for tenant, found in trends.items()
    }


def build_trend_points(daily: Sequence[float]) -> str:
    """Returns the points of an SVG polyline, a day apart; empty for a single day."""
    low, high = min(daily), max(daily)
    steps, span = len(daily) - 1, high - low or 1
    return " ".join(
        f"{TREND_WIDTH * day / steps:.1f},{1 + (TREND_HEIGHT - 2) * (high - value) / span:.1f}"
        for day, value in enumerate(daily)
        if steps
    )


def read_rows(con: DuckDBPyConnection, query: str, **params: str | list[str]) -> list[Row]:
    """Returns the rows of a query as dictionaries."""
    rows: list[Row] = con.sql(query, params=params or None).to_arrow_table().to_pylist()
    return rows


def _add_words(row: Mapping[str, Any]) -> Row:
    return {
        **row,
        "severity": format_severity(row["is_critical"]),
        "meaning": MEANINGS.get((row["suite"], row["expectation"]), ""),
        "result": _describe_success(row) if row["success"] else "broken",
    }


def _describe_success(row: Mapping[str, Any]) -> str:
    is_too_early = row["suite"] == ANOMALY_SUITE.name and row["rows"] < MIN_BASELINE_DAYS
    return TOO_EARLY if is_too_early else HOLDS


def _build_too_early_sql() -> str:
    return f"suite = '{ANOMALY_SUITE.name}' and success and rows < {MIN_BASELINE_DAYS}"
