"""One extraction of SCL in a process of its own, to be killed: python -m ... DATABASE_URL FOLDER AS_OF."""

import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.run_context import Step
from crm_pipeline.steps.extract import extract
from crm_pipeline.vocabulary import Service


def main(url: str, folder: str, as_of: str) -> None:
    lake = Lake(f"{folder}/lake", Path(folder) / "spill")
    with closing(lake.connect()) as con:
        sys.stdout.write("started\n")
        sys.stdout.flush()
        extract(Step(con, lake, datetime.fromisoformat(as_of), "run", None), Sources({Service.SCL: url}), Service.SCL)
        sys.stdout.write("done\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
