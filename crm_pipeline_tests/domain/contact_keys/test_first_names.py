"""Which first names agree: spellings, titles, initials, first words, nicknames; and what never does."""

import subprocess
import sys
from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.domain.contact_keys.first_names import (
    FirstNames,
    do_names_agree,
    do_names_agree_strictly,
    fold_first_name,
)
from crm_pipeline_tests.fixtures.worlds.naive_identities import agree, disagree

BY_LETTERS = {
    "accents": ("José", "jose"),
    "another letter": ("Søren", "SOREN"),
    "letters that are two": ("Œdipe Strauß", "oedipe strauss"),
    "the Turkish capital": ("İpek", "ipek"),
    "the Turkish small letter": ("I\u015f\u0131l", "isil"),
    "compatibility forms": ("\uff21\uff4e\uff4e", "ann"),
    "a curly apostrophe": ("D\u2019Arcy", "D'Arcy"),
    "an accent for an apostrophe": ("O\u00b4Brien", "O'Brien"),
    "a hyphen and a blank": ("Mary-Ann", "Mary  Ann"),
    "a long hyphen": ("Jean\u2013Luc", "Jean-Luc"),
    "one word": ("Maryann", "Mary-Ann"),
    "a title": ("Dr. John", "John"),
    "two titles": ("Prof Dr Ada", "ada"),
    "a title in another language": ("Frau Ada", "Ada"),
    "a trailing initial": ("John A.", "John"),
    "one initial more": ("John A.B.", "John A"),
    "initials": ("J.P.", "JP"),
    "an initial": ("J.", "John"),
    "the initial of two words": ("H", "Hans-Peter"),
    "the first word": ("Hans", "Hans-Peter"),
    "the first words": ("Mary Ann", "Mary Ann Louise"),
    "the first words as one": ("MaryAnn", "Mary Ann Louise"),
    "a generation": ("John Junior", "John Jr."),
}
BY_NICKNAME = {
    "a nickname": ("Robert", "Bob"),
    "with a title and an initial": ("Dr Margaret B", "peggy"),
}
NEVER = {
    "two names": ("Ann", "Bob"),
    "two trailing initials": ("John A", "John B"),
    "two trailing initials and a nickname": ("Robert A", "Bob B"),
    "a generation against none": ("John Jr", "John"),
    "two generations": ("John II", "John III"),
    "a generation and a nickname": ("Robert Sr", "Bob"),
    "nicknames of one name": ("Bill", "Robby"),
    "another second word": ("Mary Ann", "Mary Jane"),
    "the last word": ("Ann", "Mary Ann"),
    "part of a word": ("Ann", "Anna Lena"),
    "another initial": ("J", "Kim"),
}


@pytest.mark.parametrize(("one", "other"), [pytest.param(*pair, id=case) for case, pair in BY_LETTERS.items()])
def test_names_agree_by_their_letters(one: str, other: str) -> None:
    assert compare(one, other) == compare(other, one) == (True, True)


@pytest.mark.parametrize(("one", "other"), [pytest.param(*pair, id=case) for case, pair in BY_NICKNAME.items()])
def test_a_nickname_agrees_where_the_list_may_be_used(one: str, other: str) -> None:
    assert compare(one, other) == compare(other, one) == (False, True)


@pytest.mark.parametrize(("one", "other"), [pytest.param(*pair, id=case) for case, pair in NEVER.items()])
def test_other_names_never_agree(one: str, other: str) -> None:
    assert compare(one, other) == compare(other, one) == (False, False)


def compare(one: str, other: str) -> tuple[bool, bool]:
    """Returns whether two names agree by their letters, and with the list of nicknames."""
    first, second = fold_first_name(one), fold_first_name(other)
    assert first
    assert second
    return do_names_agree_strictly(first, second), do_names_agree(first, second)


@pytest.mark.parametrize("nothing", ["Mr", " Dr. ", "Mr. Mrs.", "-", "'", " ", "."])
def test_of_a_title_or_signs_alone_nothing_is_left(nothing: str) -> None:
    assert fold_first_name(nothing) is None
    names = FirstNames(pa.array([nothing, "ann"]))
    assert not names.do_agree(0, 1)
    assert not names.do_disagree(0, 1)


def test_a_first_name_that_is_a_title_elsewhere_is_a_name() -> None:
    assert [fold_first_name(name) is not None for name in ("Major", "Dean", "Lady")] == [True] * 3


def test_a_missing_name_neither_agrees_nor_disagrees() -> None:
    names = FirstNames(pa.array(["ann", "bob"]))
    assert (names.do_agree(-1, 0), names.do_disagree(0, -1), names.do_disagree(-1, -1)) == (False,) * 3
    one, other = np.array([0, 0, -1, 0], np.int32), np.array([1, 0, 1, -1], np.int32)
    assert names.find_disagreements(one, other).tolist() == [True, False, False, False]


WORDS = ("ann", "Ånn", "bob", "robert", "a", "b.", "dr", "jr", "marie", "o'brien", "hans", "ii", "c")
NAMES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).flatmap(
    lambda words: st.sampled_from((" ", "-", ". ")).map(lambda between: between.join(words))
)


@given(st.lists(NAMES, min_size=2, max_size=8))
def test_names_compare_as_in_the_plain_reference(spelled: list[str]) -> None:
    names, positions = FirstNames(pa.array(spelled)), range(len(spelled))
    for strictly in (True, False):
        one, other = (np.array(side, np.int32) for side in zip(*product(positions, positions), strict=True))
        found = names.find_disagreements(one, other, strictly=strictly).tolist()
        assert found == [disagree(x, y, not strictly) for x, y in product(spelled, spelled)]
    assert [names.do_agree(x, y) for x, y in product(positions, positions)] == [
        agree(x, y) for x, y in product(spelled, spelled)
    ]


def test_the_list_of_nicknames_is_read_only_where_it_is_needed() -> None:
    program = "import sys, crm_pipeline.domain.identity.resolve; assert 'nicknames' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
