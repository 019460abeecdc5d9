"""Data Docs: how fresh each club is and how its checks went, as static pages that open offline.

An index and a page per club, and a page per suite, on which Great Expectations renders the expectations. Its page
templates load styles, scripts and fonts from the web, so the pages around them use templates of this project. They show
counts and tenants, never a value of a row.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from duckdb import DuckDBPyConnection
from jinja2 import Environment, FileSystemLoader

from crm_pipeline.checks.evaluation import to_gx_expectation
from crm_pipeline.checks.expectations import SUITES, ExpectationSpec, Suite
from crm_pipeline.checks.result_rows import (
    TREND_HEIGHT,
    TREND_WIDTH,
    Row,
    Trend,
    read_broken_expectations,
    read_expectation_counts,
    read_suite_cells,
    read_suite_summary,
    read_tenant_results,
    read_trends,
)
from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters
from crm_pipeline.resources.warehouse.freshness import TenantFreshness
from crm_pipeline.vocabulary import TenantState

DATA_DOCS_FOLDER: Final = "data_docs"
TEMPLATES_FOLDER: Final = Path(__file__).parent / "templates"
INDEX_FILE: Final = "index.html"


def write_club_pages(
    con: DuckDBPyConnection, as_of: datetime, folder: Path, clubs: Sequence[TenantFreshness], changed: Collection[str]
) -> None:
    """Creates the index in `folder`, and the pages of `changed` clubs and of those without a page.

    A reader never sees half a page.
    Reads: shown_results (shaped as data_quality_results), shown_measures (shaped as quality_measures).
    """
    templates = Environment(loader=FileSystemLoader(TEMPLATES_FOLDER), autoescape=True)
    _define_globals(templates, as_of)
    folder.mkdir(parents=True, exist_ok=True)
    trends = read_trends(con, "shown_measures")
    written = [
        club for club in clubs if club.tenant_id in changed or not (folder / build_page_name(club.tenant_id)).exists()
    ]
    results = read_tenant_results(con, "shown_results", [club.tenant_id for club in written])
    club_template = templates.get_template("club.html")
    for club in written:
        page = _build_club_row(club, trends) | {"results": results.get(club.tenant_id, [])}
        _write_file(folder / build_page_name(club.tenant_id), club_template.render(page))
    cells = read_suite_cells(con, "shown_results")
    index = {
        "suites": [read_suite_summary(con, "shown_results", suite) for suite in SUITES],
        "broken": read_broken_expectations(con, "shown_results"),
        "clubs": [_build_club_row(club, trends) | {"cells": cells.get(club.tenant_id, {})} for club in clubs],
    }
    _write_file(folder / INDEX_FILE, templates.get_template(INDEX_FILE).render(index))


def write_suite_pages(con: DuckDBPyConnection, as_of: datetime, folder: Path) -> None:
    """Creates the page of each suite in `folder`.

    Reads: shown_results (shaped as data_quality_results).
    """
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer  # noqa: PLC0415
    from great_expectations.render.view import DefaultJinjaPageView  # noqa: PLC0415  five seconds only runs should pay

    templates = DefaultJinjaPageView(custom_views_directory=str(TEMPLATES_FOLDER)).env
    _define_globals(templates, as_of)
    for suite in SUITES:
        document = ValidationResultsPageRenderer().render(_build_gx_results(con, suite))
        page = {
            "suite": read_suite_summary(con, "shown_results", suite),
            "sections": [section.to_json_dict() for section in document.sections[1:]],  # the first one has links
            "broken": read_broken_expectations(con, "shown_results", suite),
        }
        _write_file(folder / f"{suite.name}.html", templates.get_template("suite.html").render(page))


def build_page_name(tenant_id: str) -> str:
    """Returns the file name of a club's page; no two clubs share one, whatever their ids are."""
    slug = re.sub("[^a-z0-9]+", "-", tenant_id.lower()).strip("-")[:40]
    return f"club-{slug}-{hashlib.sha256(tenant_id.encode()).hexdigest()[:16]}.html"


def _define_globals(templates: Environment, as_of: datetime) -> None:
    templates.globals |= {
        "as_of": f"{as_of:%Y-%m-%d %H:%M} UTC",
        "page_of": build_page_name,
        "trend_width": TREND_WIDTH,
        "trend_height": TREND_HEIGHT,
    }


def _build_club_row(club: TenantFreshness, trends: Mapping[str, Sequence[Trend]]) -> Row:
    return {
        "club": club,
        "name": escape_invisible_characters(club.tenant_id),
        "style": _find_style(club),
        "trends": trends.get(club.tenant_id, ()),
    }


def _find_style(club: TenantFreshness) -> str:
    """Returns the style of the state: a warning where only a service is missing."""
    if club.is_fresh:
        return "good"
    return "warning" if club.state == TenantState.FRESH else "critical"


def _build_gx_results(con: DuckDBPyConnection, suite: Suite) -> Any:  # noqa: ANN401
    """Returns the results of all tenants as one validation result, which Great Expectations can render."""
    from great_expectations.core import ExpectationSuiteValidationResult  # noqa: PLC0415

    counts = read_expectation_counts(con, "shown_results", suite)
    validated = [
        _build_gx_result(expectation, counts[expectation.name])
        for expectation in suite.expectations
        if expectation.name in counts
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


def _build_gx_result(expectation: ExpectationSpec, counts: Row) -> Any:  # noqa: ANN401
    from great_expectations.core import ExpectationValidationResult  # noqa: PLC0415

    # A percentage is what an expectation of presence shows, the words what all others do.
    return ExpectationValidationResult(
        success=not counts["breaking"],
        expectation_config=to_gx_expectation(expectation).configuration,
        result={
            "observed_value": _format_observed(counts),
            "unexpected_percent": 100 * counts["broken"] / max(counts["rows"], 1),
        },
        exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
    )


def _format_observed(counts: Mapping[str, int]) -> str:
    holding = counts["tenants"] - counts["breaking"] - counts["too_early"]
    parts = [
        f"broken {counts['broken']:,} times, by {counts['breaking']} of {counts['tenants']} tenants"
        if counts["breaking"]
        else "",
        f"holds for {holding} of {counts['tenants']} tenants" if holding else "",
        f"too early for {counts['too_early']} of {counts['tenants']} tenants" if counts["too_early"] else "",
    ]
    return "; ".join(filter(None, parts))


def _write_file(file: Path, text: str) -> None:
    unfinished = file.with_name(f".{file.name}.{uuid4().hex}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)
