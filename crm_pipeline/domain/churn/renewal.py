"""The member model: the hazard that a membership is not renewed, and the terms that raise it, with their words.

The hazard is the shifted beta-geometric's (Fader and Hardie 2007, "How to project customer retention", Journal of
Interactive Marketing 21): whoever has renewed often is likelier to renew again. The terms' log odds are a stated
judgement until enough lapses allow a fit. Days without play are those of the calendar or of the club's clock, whichever
are fewer: neither winter nor a busy month is a sign.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import expit

from crm_pipeline.domain.churn.seasonality import to_clock_days

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Dates = npt.NDArray[np.datetime64]

PRIOR_GAMMA: Final = 0.668
PRIOR_DELTA: Final = 3.806
RENEWAL_CODE: Final = "renewal"


class MemberTerm(NamedTuple):
    """A reason to expect a lapse: what it adds to the log odds, and how a club manager would say it."""

    code: str
    log_odds: float
    words: str


MEMBER_TERMS: Final = (
    MemberTerm("overdue_1_30", 0.7, "Fee overdue by up to 30 days"),
    MemberTerm("overdue_31_60", 1.4, "Fee overdue by 31 to 60 days"),
    MemberTerm("overdue_over_60", 2.5, "Fee overdue by more than 60 days"),
    MemberTerm("no_play_60", 0.8, "Not played for 60 days of the season"),
    MemberTerm("no_play_180", 1.4, "Not played for 180 days of the season"),
    MemberTerm("no_play_365", 2.0, "Not played for a year"),
    MemberTerm("never_played", 1.0, "Has never played"),
    MemberTerm("play_rate_dropped", 0.5, "Plays less than half as much as a year ago"),
    MemberTerm("no_competition_180", 0.4, "Stopped entering competitions"),
    MemberTerm("no_click_90", 0.2, "No longer opens our links"),
    MemberTerm("suspended", 1.5, "Membership suspended"),
)
PRIOR_LOG_ODDS: Final[Mapping[str, float]] = MappingProxyType({term.code: term.log_odds for term in MEMBER_TERMS})
"""What each term adds before enough members have lapsed for a fit, by its code."""
NO_PLAY_DAYS: Final = {"no_play_60": 60.0, "no_play_180": 180.0, "no_play_365": 365.0}
"""Days without play that each term begins at; the highest alone holds."""
NEVER_PLAYED_CODE: Final = "never_played"
NEVER_PLAYED_DAYS: Final = 180.0
FLAG_TERMS: Final = tuple(t.code for t in MEMBER_TERMS if t.code not in (*NO_PLAY_DAYS, NEVER_PLAYED_CODE))
"""The terms that are columns of the facts; the others are terms of play."""
PLAY_COLUMNS: Final = ("last_play_on", "idle_since")
"""The facts the terms are found from."""


class MemberChurn(NamedTuple):
    """Probability (n,) of a lapse, and the log odds it is the sum of: (n,) by `RENEWAL_CODE` and every term's code."""

    probability: Floats
    contributions: dict[str, Floats]


def compute_renewal_hazard(
    renewal_number: npt.ArrayLike, gamma: npt.ArrayLike = PRIOR_GAMMA, delta: npt.ArrayLike = PRIOR_DELTA
) -> Floats:
    """Returns the probability (n,) that renewal n, at least 1, is missed: gamma / (gamma + delta + n - 1).

    `gamma` and `delta` may be arrays too, one per member, where tiers differ.
    """
    n = np.maximum(np.asarray(renewal_number, dtype=np.float64), 1.0)
    gamma = np.asarray(gamma, dtype=np.float64)
    return np.asarray(gamma / (gamma + np.asarray(delta, dtype=np.float64) + n - 1.0))


def predict_member_churn(
    renewal_number: npt.ArrayLike,
    flags: Mapping[str, npt.ArrayLike],
    gamma: npt.ArrayLike = PRIOR_GAMMA,
    delta: npt.ArrayLike = PRIOR_DELTA,
    log_odds: Mapping[str, npt.ArrayLike] = PRIOR_LOG_ODDS,
) -> MemberChurn:
    """Returns the probability that a membership is not renewed: expit(logit(hazard) + the terms that hold).

    Args:
        renewal_number: number of the next renewal, (n,), at least 1.
        flags: for a term's code whether it holds, (n,); a term not given holds for nobody.
        gamma: of the hazard, one or (n,).
        delta: of the hazard, one or (n,).
        log_odds: what each term adds, one or (n,), by its code; the prior's unless a fit says otherwise.

    Raises:
        ValueError: a flag is no term's code.
    """
    unknown = flags.keys() - {term.code for term in MEMBER_TERMS}
    if unknown:
        raise ValueError(f"no such member terms: {', '.join(sorted(unknown))}")
    hazard = compute_renewal_hazard(renewal_number, gamma, delta)
    contributions = {RENEWAL_CODE: np.log(hazard) - np.log1p(-hazard)}
    for term in MEMBER_TERMS:
        holds = np.asarray(flags.get(term.code, False), dtype=np.bool_)
        contributions[term.code] = np.broadcast_to(np.asarray(log_odds[term.code]) * holds, hazard.shape)
    return MemberChurn(np.asarray(expit(sum(contributions.values()))), contributions)


class PlayDates(NamedTuple):
    """Days (n,), NaT where there is none: of the last play, and since when somebody who never played could have."""

    today: Dates
    last_play_on: Dates
    idle_since: Dates

    @classmethod
    def from_rows(cls, rows: pa.Table) -> "PlayDates":
        """Returns the dates in columns of their names."""
        return cls(*(rows[name].to_numpy().astype("M8[D]") for name in cls._fields))


def find_play_terms(dates: PlayDates, month_factors: Floats, tenant_index: npt.NDArray[np.intp]) -> dict[str, Booleans]:
    """Returns which members each term of play holds for, (n,) by its code.

    Args:
        dates: of the members; NaT where a term does not apply.
        month_factors: of the clubs' clocks, (k, 12).
        tenant_index: the row of `month_factors` to read, (n,).
    """
    quiet, idle = (
        _count_days_since(dates.today, day, month_factors, tenant_index)
        for day in (dates.last_play_on, dates.idle_since)
    )
    next_days = (*NO_PLAY_DAYS.values(), np.inf)[1:]
    terms = {
        code: (quiet >= days) & (quiet < next_bound)
        for (code, days), next_bound in zip(NO_PLAY_DAYS.items(), next_days, strict=True)
    }
    return {**terms, NEVER_PLAYED_CODE: idle > NEVER_PLAYED_DAYS}


def _count_days_since(today: Dates, day: Dates, month_factors: Floats, tenant_index: npt.NDArray[np.intp]) -> Floats:
    """Returns the days since then on the calendar or on the clock, whichever are fewer; NaN where there is no day."""
    is_unknown = np.isnat(day)
    known_day = np.where(is_unknown, today, day)
    now, then = to_clock_days(month_factors, tenant_index, today, known_day)
    calendar_days = (today - known_day).astype(np.float64)
    return np.where(is_unknown, np.nan, np.minimum(calendar_days, now - then))
