"""Points of habits: the worked examples, and that the reasons add up to the score."""

import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.domain.profile_facts.engagement import (
    CONSENT_POINTS,
    ENGAGEMENT_GROUPS,
    MEMBERSHIP_FACTORS,
    MEMBERSHIP_POINTS,
    MESSAGE_GROUP,
    PLAY_GROUP,
    SPEND_GROUP,
    EngagementGroup,
    compute_engagement_points,
    compute_saturated_points,
)
from crm_pipeline.vocabulary import CountsAs, MembershipStatus

Event = tuple[CountsAs, float]

PLAYED, CLICKED, PAID = CountsAs.ROUND_PLAYED, CountsAs.CLICK, CountsAs.PAYMENT
WEEKLY: list[Event] = [*((PLAYED, age) for age in (2, 9, 16, 23)), (CountsAs.COMPETITION, 9), (CLICKED, 5)]
SUMS = st.floats(0.0, 1e6)


def decayed_sum(group: EngagementGroup, events: Iterable[Event]) -> float:
    """What `activity.sql` sums."""
    return sum(
        group.weights[kind] * math.exp2(-age / group.half_life_days) for kind, age in events if kind in group.weights
    )


@pytest.mark.parametrize(
    ("events", "status", "consent", "score"),
    [
        ([], None, True, 5),
        ([], None, False, 0),
        ([(CLICKED, 3)], None, True, 12),
        ([(PLAYED, 0), (PAID, 0)], None, False, 22),
        ([(PLAYED, 180), (PAID, 180)], None, True, 8),
        ([(kind, age) for kind in (PLAYED, PAID) for age in (330, 270, 210, 150, 90, 30)], None, True, 28),
        ([(kind, age) for kind in (PLAYED, PAID) for age in (500, 450, 400)], None, False, 1),
        ([*WEEKLY, (PAID, 90)], MembershipStatus.ACTIVE, True, 58),
        ([(PLAYED, 75), (PAID, 410)], MembershipStatus.OVERDUE, True, 13),
    ],
)
def test_worked_examples(events: list[Event], status: MembershipStatus | None, consent: bool, score: int) -> None:
    play, spend, message = (decayed_sum(group, events) for group in (PLAY_GROUP, SPEND_GROUP, MESSAGE_GROUP))
    factor = MEMBERSHIP_FACTORS[status] if status else 0.0
    assert compute_engagement_points(play, spend, message, factor, consent).score == score


@given(SUMS, SUMS, SUMS, st.sampled_from([0.0, 0.5, 1.0]), st.booleans())
def test_points_are_exactly_the_score(play: float, spend: float, message: float, factor: float, consent: bool) -> None:
    points = compute_engagement_points([play], [spend], [message], [factor], [consent])
    total = 0.0
    for group_points in points:
        total += float(group_points[0])
    assert total == points.unrounded[0]
    assert points.score[0] == math.floor(0.5 + total)
    assert 0 <= points.score[0] <= 100


def test_a_hundred_points_are_shared_out() -> None:
    assert sum(group.cap for group in ENGAGEMENT_GROUPS) + MEMBERSHIP_POINTS + CONSENT_POINTS == 100


@pytest.mark.parametrize("group", ENGAGEMENT_GROUPS)
def test_half_lives_and_half_saturations_halve(group: EngagementGroup) -> None:
    for kind, weight in group.weights.items():
        assert decayed_sum(group, [(kind, group.half_life_days)]) == weight / 2
    assert compute_saturated_points(group, group.half_saturation) == pytest.approx(group.cap / 2)
    assert compute_saturated_points(group, np.array([0.0, 1e9])).tolist() == [0.0, group.cap]


def test_an_event_type_earns_points_in_one_group_only() -> None:
    kinds = [kind for group in ENGAGEMENT_GROUPS for kind in group.weights]
    assert len(kinds) == len(set(kinds)) == 8
