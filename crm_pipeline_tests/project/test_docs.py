"""The documents say what the code does."""

import re
from pathlib import Path

import pytest

from crm_pipeline.cli import main
from crm_pipeline.domain.churn.renewal import MEMBER_TERMS
from crm_pipeline.domain.profile_facts.engagement import ENGAGEMENT_GROUPS, EngagementGroup
from crm_pipeline.settings import ENVIRONMENT_VARIABLES
from crm_pipeline.tables import PUBLISHED_TABLES
from crm_pipeline.vocabulary import ChurnBasis, LifecycleStage, LinkRule, ReviewKind

ROOT = Path(__file__).parents[2]
README, NUMBERS, IDENTITIES = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/numbers.md", "docs/identities.md")
)

UNEXPLAINED = (LinkRule.ANCHOR, ReviewKind.REJECTED_ALWAYS)
"""Words of the tables that the page for people does without."""


@pytest.mark.parametrize("group", ENGAGEMENT_GROUPS, ids=lambda group: group.name)
def test_the_page_of_numbers_has_each_habit_as_declared(group: EngagementGroup) -> None:
    (row,) = [line for line in NUMBERS.splitlines() if line.startswith(f"| {group.name} |")]
    _, _, cap, half_life, half_saturation, weights, _ = (cell.strip() for cell in row.split("|"))
    assert (cap, half_life, half_saturation) == (
        f"{group.cap:g}",
        f"{group.half_life_days:g} days",
        f"{group.half_saturation:g}",
    )
    assert sorted(re.findall(r"[\d.]+", weights)) == sorted(f"{weight:g}" for weight in group.weights.values())


def test_the_page_of_numbers_has_every_sign_of_a_resignation() -> None:
    table = NUMBERS.partition("| Sign | Adds |")[2].partition("\n\n")[0]
    said = [float(number) for row in table.splitlines() for number in re.findall(r"\d+\.\d+", row.rpartition("|")[0])]
    assert sorted(said) == sorted(term.log_odds for term in MEMBER_TERMS)


@pytest.mark.parametrize("word", [*LifecycleStage, *ChurnBasis])
def test_the_page_of_numbers_explains_every_stage_and_basis(word: str) -> None:
    assert word in NUMBERS


@pytest.mark.parametrize("word", [word for word in (*LinkRule, *ReviewKind) if word not in UNEXPLAINED])
def test_the_page_of_identities_explains_every_rule_and_review(word: str) -> None:
    assert word in IDENTITIES


def test_the_readme_names_only_commands_there_are() -> None:
    named = set(re.findall(r"crm-pipeline ([a-z][\w-]*)", README))
    assert named <= set(main.commands) | {"database"}


def test_the_readme_names_every_published_table_and_no_unknown_setting() -> None:
    assert all(f"`{table.name}`" in README for table in PUBLISHED_TABLES)
    assert set(re.findall(r"`([A-Z_]+_(?:SOURCE|URL|HOME|AS_OF))`", README)) <= set(ENVIRONMENT_VARIABLES)
