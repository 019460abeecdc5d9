"""Data Docs: how fresh each club is and how its checks went, as static pages that open offline.

An index, a page per club and a page per suite. The templates are this project's, since those of Great Expectations load
styles, scripts and fonts from the web. Pages show counts and tenants, never a value of a row.
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

from crm_pipeline.checks.expectations import SUITES
from crm_pipeline.checks.result_rows import (
    TREND_HEIGHT,
    TREND_WIDTH,
    Row,
    Trend,
    read_broken_expectations,
    read_expectations,
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


def write_pages(
    con: DuckDBPyConnection, as_of: datetime, folder: Path, clubs: Sequence[TenantFreshness], changed: Collection[str]
) -> None:
    """Creates index and suite pages in `folder`, and the pages of `changed` clubs and of clubs without one.

    A reader never sees half a page.
    Reads: shown_results (shaped as data_quality_results), shown_measures (shaped as quality_measures).
    """
    folder.mkdir(parents=True, exist_ok=True)
    templates = _load_templates(as_of)
    trends, cells = read_trends(con, "shown_measures"), read_suite_cells(con, "shown_results")
    rows = [_build_club_row(club, trends) | {"cells": cells.get(club.tenant_id, {})} for club in clubs]
    written = [row for row in rows if row["tenant_id"] in changed or not (folder / row["page"]).exists()]
    results = read_tenant_results(con, "shown_results", [row["tenant_id"] for row in written])
    for row in written:
        _write_page(templates, "club.html", folder / row["page"], row | {"results": results.get(row["tenant_id"], [])})
    suites = [read_suite_summary(con, "shown_results", suite) for suite in SUITES]
    for suite, summary in zip(SUITES, suites, strict=True):
        broken = read_broken_expectations(con, "shown_results", suite)
        page = {"suite": summary, "broken": broken, "expectations": read_expectations(con, "shown_results", suite)}
        _write_page(templates, "suite.html", folder / f"{suite.name}.html", page)
    index = {"suites": suites, "broken": read_broken_expectations(con, "shown_results"), "clubs": rows}
    _write_page(templates, "index.html", folder / "index.html", index)


def build_page_name(tenant_id: str) -> str:
    """Returns the file name of a club's page; no two clubs share one, whatever their ids are."""
    slug = re.sub("[^a-z0-9]+", "-", tenant_id.lower()).strip("-")[:40]
    return f"club-{slug}-{hashlib.sha256(tenant_id.encode()).hexdigest()[:16]}.html"


def _load_templates(as_of: datetime) -> Environment:
    templates = Environment(loader=FileSystemLoader(TEMPLATES_FOLDER), autoescape=True)
    templates.globals |= {
        "as_of": f"{as_of:%Y-%m-%d %H:%M} UTC",
        "page_of": build_page_name,
        "trend_width": TREND_WIDTH,
        "trend_height": TREND_HEIGHT,
    }
    return templates


def _build_club_row(club: TenantFreshness, trends: Mapping[str, Sequence[Trend]]) -> Row:
    # A warning where only a service is missing.
    style = "good" if club.is_fresh else "warning" if club.state == TenantState.FRESH else "critical"
    return {
        "club": club,
        "tenant_id": club.tenant_id,
        "page": build_page_name(club.tenant_id),
        "name": escape_invisible_characters(club.tenant_id),
        "style": style,
        "trends": trends.get(club.tenant_id, ()),
    }


def _write_page(templates: Environment, template: str, file: Path, values: Mapping[str, Any]) -> None:
    unfinished = file.with_name(f".{file.name}.{uuid4().hex}")
    unfinished.write_text(templates.get_template(template).render(values), encoding="utf-8")
    unfinished.replace(file)
