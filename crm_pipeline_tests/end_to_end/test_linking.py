"""Links held against the truth of a made-up sample: recall, precision by rule, and what every false link is."""

from collections.abc import Iterable

import pytest

from benchmarks.linking import Linking, Precision, linking
from crm_pipeline.vocabulary import LinkRule
from crm_pipeline_tests.fixtures.homes.soak import SOAK

PEOPLE = 100_000 if SOAK else 3_000
ALONE = (LinkRule.EMAIL, LinkRule.PHONE)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Linking:
    return linking(PEOPLE, seed=1, folder=tmp_path_factory.mktemp("linking"))


def share_of_one_person(links: Iterable[Precision]) -> float:
    counts = [(each.links, each.false) for each in links]
    return 1 - sum(false for _, false in counts) / sum(all_of_them for all_of_them, _ in counts)


def test_nearly_all_records_of_a_person_that_share_a_usable_key_are_together(found: Linking) -> None:
    assert sum(row.together for row in found.recall) >= 0.97 * sum(row.pairs for row in found.recall)


def test_the_strong_rules_and_every_link_between_one_name_are_right(found: Linking) -> None:
    agreeing = [row for row in found.precision if row.names in ("SAME", "AGREE")]
    for rule in (LinkRule.AUTH_USER_ID, LinkRule.EMAIL_AND_PHONE):
        assert share_of_one_person(row for row in agreeing if row.rule == rule) >= 0.999, rule
    assert share_of_one_person(row for row in found.precision if row.names == "SAME") >= 0.999


def test_families_never_merge_within_a_service(found: Linking) -> None:
    """But for namesakes who have one email and one phone between them: nothing a service knows tells them apart."""
    within = [row for row in found.precision if row.is_one_service]
    assert {(row.rule, row.names) for row in within if row.false} <= {(LinkRule.DUPLICATE_REGISTRATION, "SAME")}
    assert share_of_one_person(within) >= 0.999


def test_a_false_link_between_names_that_differ_is_asked_about(found: Linking) -> None:
    differing = [row for row in found.precision if row.names == "DIFFER"]
    assert {row.rule for row in differing} <= {*ALONE, LinkRule.EMAIL_AND_PHONE}
    for row in differing:
        assert row.asked == row.false
    assert sum(row.false for row in differing if row.rule in ALONE) > 0, "families are in the sample"
