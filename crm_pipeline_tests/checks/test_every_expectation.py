"""Every expectation catches the fault it is there for, in its own tenant, and a sound club passes all."""

from collections import defaultdict

import pytest

from crm_pipeline.checks.evaluation import ExpectationResult
from crm_pipeline.checks.expectations import SUITES
from crm_pipeline_tests.fixtures.worlds.checked_clubs import judged, sound
from crm_pipeline_tests.fixtures.worlds.faults import FAULTS

SOUND = "a sound club"
Broken = dict[str, dict[tuple[str, str], ExpectationResult]]


@pytest.fixture(scope="module")
def broken() -> Broken:
    """What is broken where each fault was planted, each in a club of its own, all judged together."""
    clubs = {SOUND: sound(SOUND)}
    for (suite, expectation), planted in FAULTS.items():
        tenant = f"{suite}: {expectation}"
        clubs[tenant] = sound(tenant)
        planted.fault(clubs[tenant])
    found: Broken = defaultdict(dict)
    for verdict in judged(clubs):
        if not verdict.success:
            found[verdict.tenant_id][verdict.suite, verdict.expectation] = verdict
    return found


def test_there_is_a_fault_for_every_expectation() -> None:
    assert list(FAULTS) == [(suite.name, expected.name) for suite in SUITES for expected in suite.expected]


@pytest.mark.parametrize(("suite", "expectation"), FAULTS)
def test_the_fault_is_caught(broken: Broken, suite: str, expectation: str) -> None:
    planted = FAULTS[suite, expectation]
    found = broken[f"{suite}: {expectation}"]
    assert found[suite, expectation].unexpected_count == planted.rows
    assert found[suite, expectation].is_critical == (suite != "as_usual")
    assert {name for _, name in found} - {expectation} == planted.also


def test_a_sound_club_passes_all(broken: Broken) -> None:
    assert SOUND not in broken


def test_what_was_found_is_said_beside_what_was_expected(broken: Broken) -> None:
    def observed(suite: str, expectation: str) -> str | None:
        return broken[f"{suite}: {expectation}"][suite, expectation].observed

    assert observed("tables_agree", "money_equals_scl") == "timeline 20 payments, 100.00 in all; SCL 19, 95.00"
    assert observed("as_usual", "profiles") == "25; usually 17 to 23 over 10 days"
    assert observed("as_usual", "share_of_lead") == "25.0 %; usually 0.0 % to 15.0 % over 10 days"
    assert observed("as_usual", "days_since_newest_event") == "4; usually 0 to 3 over 10 days"
    assert observed("customer_profiles", "scores_in_range") is None
