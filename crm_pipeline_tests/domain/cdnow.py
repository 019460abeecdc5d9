"""CDNOW, the public data set of 2,357 new customers of 1997 that models of visits are compared on, in weeks.

Read from the files inside the `lifetimes` wheel: its own loader needs a pkg_resources that is no more.
"""

from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

CALIBRATION_ENDS: Final = date(1997, 9, 30)
DAYS_PER_WEEK: Final = 7.0


class Calibration(NamedTuple):
    """Frequency, recency and age after 39 weeks, each (n,)."""

    frequency: Floats
    recency: Floats
    age: Floats


class Log(NamedTuple):
    """The calibration from the purchases themselves, and the wait (n,) for the next one; infinite if none was seen."""

    calibration: Calibration
    wait: Floats


def _path(name: str) -> Path:
    spec = find_spec("lifetimes")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "datasets" / name


def read_calibration() -> Calibration:
    """The summary published with the model."""
    table = pd.read_csv(_path("cdnow_customers_summary.csv"))
    return Calibration(*(table[name].to_numpy(np.float64) for name in ("frequency", "recency", "T")))


def read_money() -> tuple[Floats, Floats]:
    """Repeat purchases and their mean value in dollars, each (n,)."""
    table = pd.read_csv(_path("cdnow_customers_summary_with_transactions.csv"))
    return table["x"].to_numpy(np.float64), table["zbar"].to_numpy(np.float64)


def read_log() -> Log:
    """The purchases of the same customers, 39 weeks before and 39 after the calibration ends."""
    names = ["master_id", "customer_id", "day", "items", "dollars"]
    log = pd.read_csv(_path("CDNOW_sample.txt"), sep=r"\s+", names=names, parse_dates=["day"])
    log["week"] = (log["day"] - pd.Timestamp(CALIBRATION_ENDS)).dt.days / DAYS_PER_WEEK
    weeks = log.groupby("customer_id")["week"]
    before = log[log["week"] <= 0].groupby("customer_id")["week"].agg(["min", "max", "nunique"])
    after = log[log["week"] > 0].groupby("customer_id")["week"].min().reindex(before.index, fill_value=np.inf)
    assert len(before) == len(weeks)
    first, last = before["min"].to_numpy(np.float64), before["max"].to_numpy(np.float64)
    return Log(
        Calibration(before["nunique"].to_numpy(np.float64) - 1.0, last - first, -first), after.to_numpy(np.float64)
    )
