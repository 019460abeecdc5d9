"""Engagement, 0 to 100: the points each habit earns, and their sum.

Events of a habit have a cap, a half-life and weights, declared here once; the queries are written from them. The
decayed sums are taken in `activity.sql`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from crm_pipeline.vocabulary import CountsAs, MembershipStatus

Floats = npt.NDArray[np.float64]

LN_2: Final = float(np.log(2.0))
MEMBERSHIP_POINTS: Final = 10.0
CONSENT_POINTS: Final = 5.0
MEMBERSHIP_FACTORS: Final[Mapping[MembershipStatus, float]] = MappingProxyType(
    {MembershipStatus.ACTIVE: 1.0, MembershipStatus.OVERDUE: 0.5, MembershipStatus.SUSPENDED: 0.5}
)


class EngagementGroup(NamedTuple):
    """Events of one habit: points it can reach, days after which an event counts half, sum worth half the points."""

    name: str
    cap: float
    half_life_days: float
    half_saturation: float
    weights: Mapping[CountsAs, float]


PLAY_GROUP: Final = EngagementGroup(
    name="play",
    cap=40.0,
    half_life_days=30.0,
    half_saturation=2.0,
    weights=MappingProxyType(
        {
            CountsAs.ROUND_PLAYED: 1.0,
            CountsAs.BOOKED: 0.5,
            CountsAs.COMPETITION: 1.5,
            CountsAs.HANDICAP_UPDATE: 0.5,
        }
    ),
)
SPEND_GROUP: Final = EngagementGroup(
    name="spend",
    cap=20.0,
    half_life_days=90.0,
    half_saturation=1.0,
    weights=MappingProxyType({CountsAs.PAYMENT: 1.0}),
)
MESSAGE_GROUP: Final = EngagementGroup(
    name="message",
    cap=25.0,
    half_life_days=30.0,
    half_saturation=2.0,
    weights=MappingProxyType({CountsAs.CLICK: 1.0, CountsAs.CAMPAIGN_RESPONSE: 1.5, CountsAs.OPEN: 0.25}),
)
ENGAGEMENT_GROUPS: Final = (PLAY_GROUP, SPEND_GROUP, MESSAGE_GROUP)


class EngagementPoints(NamedTuple):
    """Points (n,) each habit earned; added in this order they are, to the last bit, `unrounded`."""

    play: Floats
    spend: Floats
    message: Floats
    membership: Floats
    consent: Floats

    @property
    def unrounded(self) -> Floats:
        """The score (n,) before rounding."""
        return self.play + self.spend + self.message + self.membership + self.consent

    @property
    def score(self) -> Floats:
        """The score (n,), whole points from 0 to 100: floor(0.5 + unrounded)."""
        return np.asarray(np.floor(0.5 + self.unrounded))


def compute_engagement_points(
    play: npt.ArrayLike,
    spend: npt.ArrayLike,
    message: npt.ArrayLike,
    membership_factor: npt.ArrayLike,
    any_consent: npt.ArrayLike,
) -> EngagementPoints:
    """Returns the points by docs/numbers.md, "Engagement".

    Args:
        play: sum (n,) of the group's decayed weights, 0 or more.
        spend: likewise.
        message: likewise.
        membership_factor: `MEMBERSHIP_FACTORS` of the status, (n,); 0 for any other and for none.
        any_consent: whether any channel is opted in to, (n,).
    """
    return EngagementPoints(
        compute_saturated_points(PLAY_GROUP, play),
        compute_saturated_points(SPEND_GROUP, spend),
        compute_saturated_points(MESSAGE_GROUP, message),
        MEMBERSHIP_POINTS * np.asarray(membership_factor, dtype=np.float64),
        CONSENT_POINTS * np.asarray(any_consent, dtype=np.float64),
    )


def compute_saturated_points(group: EngagementGroup, decayed_sum: npt.ArrayLike) -> Floats:
    """Returns the points (n,) for a decayed sum S: cap * (1 - 2^(-S / half_saturation))."""
    return np.asarray(-group.cap * np.expm1(-LN_2 / group.half_saturation * np.asarray(decayed_sum, dtype=np.float64)))
