"""Data Docs: the results of the suites as static pages that open offline, an index and one page per suite.

Great Expectations renders the expectations. Its page templates load styles, scripts and fonts from the web, so the
pages around them use templates of this project. They show counts and tenants, never a value of a row.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from duckdb import DuckDBPyConnection

from crm_pipeline.checks.evaluation import to_gx_expectation
from crm_pipeline.checks.expectations import MEANINGS, SUITES, Suite

DATA_DOCS_FOLDER: Final = "data_docs"
TEMPLATES_FOLDER: Final = Path(__file__).parent / "templates"
INDEX_FILE: Final = "index.html"
MAX_SHOWN_ROWS: Final = 1_000
"""Broken expectations listed on a page; if there are more, the pipeline is at fault and the first ones show it."""
Row = dict[str, Any]


def write_data_docs(con: DuckDBPyConnection, results: str, as_of: datetime, folder: Path) -> None:
    """Creates the pages of relation `results` in `folder`; a reader never sees half a page.

    Reads: results (shaped as data_quality_results).
    """
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer  # noqa: PLC0415
    from great_expectations.render.view import DefaultJinjaPageView  # noqa: PLC0415

    view = DefaultJinjaPageView(custom_views_directory=str(TEMPLATES_FOLDER))
    suites = [_read_suite_summary(con, results, suite) for suite in SUITES]
    shown = {"as_of": f"{as_of:%Y-%m-%d %H:%M} UTC", "suites": suites}
    folder.mkdir(parents=True, exist_ok=True)
    for suite, summary in zip(SUITES, suites, strict=True):
        document = ValidationResultsPageRenderer().render(_build_gx_results(con, results, suite))
        sections = [section.to_json_dict() for section in document.sections[1:]]  # the first is an overview, with links
        page = {
            **shown,
            "suite": summary,
            "sections": sections,
            "broken": _read_broken_expectations(con, results, suite),
        }
        _write_file(folder / f"{suite.name}.html", view.env.get_template("suite.html").render(page))
    page = {**shown, "broken": _read_broken_expectations(con, results), "tenants": _read_tenant_rows(con, results)}
    _write_file(folder / INDEX_FILE, view.env.get_template(INDEX_FILE).render(page))


def format_severity(is_critical: bool) -> str:
    """Returns the word for the severity of a broken expectation."""
    return "critical" if is_critical else "warning"


def _read_rows(con: DuckDBPyConnection, query: str, **params: str) -> list[Row]:
    rows: list[Row] = con.sql(query, params=params or None).to_arrow_table().to_pylist()
    return rows


def _read_suite_summary(con: DuckDBPyConnection, results: str, suite: Suite) -> Row:
    (counts,) = _read_rows(
        con,
        f"""select count(distinct tenant_id) as tenants, count(distinct tenant_id) filter (not success) as breaking
            from {results} where suite = $suite""",
        suite=suite.name,
    )
    return {
        **counts,
        "name": suite.name,
        "severity": format_severity(suite.is_critical),
        "expectations": len(suite.expectations),
    }


def _read_broken_expectations(con: DuckDBPyConnection, results: str, suite: Suite | None = None) -> list[Row]:
    suite_condition = f"and suite = '{suite.name}'" if suite else ""
    order = "not is_critical, suite, expectation, tenant_id"
    rows = _read_rows(
        con, f"from {results} where not success {suite_condition} order by {order} limit {MAX_SHOWN_ROWS}"
    )
    return [
        {
            **row,
            "severity": format_severity(row["is_critical"]),
            "meaning": MEANINGS.get((row["suite"], row["expectation"]), ""),
        }
        for row in rows
    ]


def _read_tenant_rows(con: DuckDBPyConnection, results: str) -> list[Row]:
    counts = ", ".join(
        f"case when bool_or(suite = '{suite.name}')"
        f" then count(*) filter (suite = '{suite.name}' and not success) end as {suite.name}"
        for suite in SUITES
    )
    checked = "strftime(max(checked_at), '%Y-%m-%d %H:%M') as checked_at"
    return _read_rows(
        con, f"select tenant_id, {counts}, {checked} from {results} group by tenant_id order by tenant_id"
    )


def _build_gx_results(con: DuckDBPyConnection, results: str, suite: Suite) -> Any:  # noqa: ANN401
    """Returns the results of all tenants as one validation result, which Great Expectations can render."""
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult  # noqa: PLC0415

    rows = _read_rows(
        con,
        f"""select expectation, count(*) as tenants, count(*) filter (not success) as breaking,
                cast(sum(unexpected_count) as bigint) as broken
            from {results} where suite = $suite group by expectation""",
        suite=suite.name,
    )
    counts_by_name = {row["expectation"]: row for row in rows}
    validated = [
        ExpectationValidationResult(
            success=not counts["breaking"],
            expectation_config=to_gx_expectation(expectation).configuration,
            result={"observed_value": _format_observed(counts)},
            exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
        )
        for expectation in suite.expectations
        if (counts := counts_by_name.get(expectation.name))
    ]
    return ExpectationSuiteValidationResult(
        success=all(result.success for result in validated),
        results=validated,
        suite_name=suite.name,
        statistics=dict.fromkeys(
            ("evaluated_expectations", "successful_expectations", "unsuccessful_expectations", "success_percent"), 0
        ),
        meta={},
    )


def _format_observed(counts: Mapping[str, int]) -> str:
    if not counts["breaking"]:
        return f"holds for all {counts['tenants']} tenants"
    return f"broken {counts['broken']} times, by {counts['breaking']} of {counts['tenants']} tenants"


def _write_file(file: Path, text: str) -> None:
    unfinished = file.with_name(f".{file.name}.{uuid4().hex}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)
