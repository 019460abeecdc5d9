"""Every expectation catches its fault in its own tenant, and a valid club passes all."""

from collections import defaultdict

import pytest

from crm_pipeline.checks.evaluation import ExpectationResult
from crm_pipeline.checks.expectations import SUITES
from crm_pipeline_tests.fixtures.worlds.checked_clubs import evaluate_clubs, valid_club
from crm_pipeline_tests.fixtures.worlds.faults import FAULTS

VALID = "a valid club"
Broken = dict[str, dict[tuple[str, str], ExpectationResult]]


@pytest.fixture(scope="module")
def broken() -> Broken:
    """The failed results, with each fault in a club of its own and all clubs evaluated together."""
    clubs = {VALID: valid_club(VALID)}
    for (suite, expectation), planted in FAULTS.items():
        tenant = f"{suite}: {expectation}"
        clubs[tenant] = valid_club(tenant)
        planted.fault(clubs[tenant])
    found: Broken = defaultdict(dict)
    for result in evaluate_clubs(clubs):
        if not result.success:
            found[result.tenant_id][result.suite, result.expectation] = result
    return found


def test_there_is_a_fault_for_every_expectation() -> None:
    assert list(FAULTS) == [(suite.name, expected.name) for suite in SUITES for expected in suite.expectations]


@pytest.mark.parametrize(("suite", "expectation"), FAULTS)
def test_the_fault_is_caught(broken: Broken, suite: str, expectation: str) -> None:
    planted = FAULTS[suite, expectation]
    found = broken[f"{suite}: {expectation}"]
    assert found[suite, expectation].unexpected_count == planted.rows
    assert found[suite, expectation].is_critical == (suite != "as_usual")
    assert {name for _, name in found} - {expectation} == planted.also


def test_a_valid_club_passes_all(broken: Broken) -> None:
    assert VALID not in broken


def test_a_failed_result_says_what_was_observed(broken: Broken) -> None:
    def observed(suite: str, expectation: str) -> str | None:
        return broken[f"{suite}: {expectation}"][suite, expectation].observed

    assert observed("tables_agree", "money_equals_scl") == "timeline 20 payments, 100.00 in all; SCL 19, 95.00"
    assert observed("as_usual", "profiles") == "25; usually 17 to 23 over 10 days"
    assert observed("as_usual", "share_of_lead") == "25.0 %; usually 0.0 % to 15.0 % over 10 days"
    assert observed("as_usual", "days_since_newest_event") == "4; usually 0 to 3 over 10 days"
    assert observed("customer_profiles", "scores_in_range") is None
