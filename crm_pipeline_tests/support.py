"""What end-to-end tests share: a refresh in this process, and questions to what it published."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from crm_pipeline.cli.lake_copy import working_copy
from crm_pipeline.cli.options import choose
from crm_pipeline.cli.run import Outcome, refresh_once
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.settings import VARIABLES

AS_OF = "2026-03-31T12:00:00Z"
SAMPLE = Path(__file__).parents[1] / "data" / "sample"


@contextmanager
def clean_environment(**variables: str) -> Iterator[None]:
    """No setting but these, and the environment of before afterwards."""
    before = dict(os.environ)
    for name in (*VARIABLES, "DAGSTER_HOME"):
        os.environ.pop(name, None)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def refresh(
    home: Path,
    sources: Path | None = SAMPLE,
    *,
    as_of: str = AS_OF,
    tenants: Sequence[str] = (),
    believe: Sequence[str] = (),
    **variables: str,
) -> Outcome:
    """`crm-pipeline run` in this process."""
    with clean_environment(**variables), working_copy(choose(home, sources, as_of), dry_run=False) as settings:
        return refresh_once(settings, tenants, believe, dry_run=False)


def ask(home: Path, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query on the embedded warehouse of `home`."""
    engine = create_engine(EmbeddedPostgres(home).url("crm"))
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(sql))]
    engine.dispose()
    return rows


@contextmanager
def stopped_afterwards(home: Path) -> Iterator[Path]:
    """A home whose embedded server does not outlive the body."""
    try:
        yield home
    finally:
        EmbeddedPostgres(home).stop()
