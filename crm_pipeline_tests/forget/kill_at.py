"""`forget` of a profile in a process that kills itself at one of its places: python -m ... HOME TENANT ID PLACE."""

import os
import signal
import sys
from pathlib import Path

from crm_pipeline.cli.options import choose
from crm_pipeline.cli.privacy_requests import forget
from crm_pipeline.explain import Question


def main(home: str, tenant: str, profile: str, place: str) -> None:
    def say(line: str) -> None:
        if line == place:
            os.kill(os.getpid(), signal.SIGKILL)

    forget(choose(Path(home)), Question(tenant, "profile", profile), None, say)


if __name__ == "__main__":
    main(*sys.argv[1:])
