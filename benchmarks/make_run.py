"""What `make run` does once all is installed, from an empty working folder: `python -m benchmarks.make_run`."""

import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.observed import run
from benchmarks.results import AT_MOST, PLACE, Row, keep
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.settings import build_source_variable_name
from crm_pipeline.vocabulary import Service

SAMPLE: Final = Path("data/sample").absolute()
AS_OF: Final = "2026-03-31T12:00:00Z"
MOST_SECONDS, MOST_OF_START = 60.0, 20.0


def main() -> None:
    """Measure, keep and print; exits with 1 where it takes longer than it may."""
    sources = {build_source_variable_name(service): str(SAMPLE / service.lower()) for service in Service}
    PLACE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PLACE) as folder:
        try:
            found = run(Path(folder), sources, AS_OF)
        finally:
            EmbeddedPostgres(Path(folder)).stop()
    clubs = len((SAMPLE / "crm" / "Tenant.csv").read_text(encoding="utf-8").splitlines()) - 1
    rows = [
        Row("make run", clubs, "clubs", found.seconds, "a minute", MOST_SECONDS, AT_MOST, 1, found.peak_mb),
        Row("make run, start-up and imports", clubs, "clubs", found.start_up, "20 s", MOST_OF_START, AT_MOST, 1),
    ]
    sys.exit(not keep(__spec__.name, rows))


if __name__ == "__main__":
    main()
