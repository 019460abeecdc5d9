"""`forget` of a profile in a process that kills itself at one of its steps: python -m ... HOME TENANT ID STEP."""

import os
import signal
import sys
from itertools import count
from pathlib import Path

from crm_pipeline.explain import Question
from crm_pipeline.forget.commands import forget
from crm_pipeline.workplace import choose

STEPS = count(1)


def main(home: str, tenant: str, profile: str, step: str) -> None:
    def say(_: str) -> None:
        if next(STEPS) == int(step):
            os.kill(os.getpid(), signal.SIGKILL)

    forget(choose(Path(home)), Question(tenant, "profile", profile), None, say)


if __name__ == "__main__":
    main(*sys.argv[1:])
