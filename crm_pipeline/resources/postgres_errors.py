"""What PostgreSQL's errors say, and which of them a second attempt may not meet."""

import re
from typing import Final

import adbc_driver_postgresql.dbapi as adbc

_PASSING: Final = ("40001", "40P01", "08", "57P")
"""SQLSTATEs of serialisation failures, deadlocks, lost connections and a restart."""


def complaint(error: adbc.Error) -> str:
    """PostgreSQL's own sentence, without the statement before it and the details after it, which quote rows."""
    said = re.findall(r"(?:ERROR|FATAL):  (.+)", str(error))
    return said[-1] if said else str(error).splitlines()[0]


def passes(error: adbc.Error) -> bool:
    """Whether it is of a kind that passes; one without a state is of the connection."""
    return (error.sqlstate or "08").strip("\0").startswith(_PASSING)
