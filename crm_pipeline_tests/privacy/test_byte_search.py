"""Search terms are found wherever they stand in bytes, however many are searched for at once."""

import random
from pathlib import Path
from typing import Final

import pytest

from crm_pipeline.privacy.byte_search import SearchTerms, build_search_terms, redact_files

MEGABYTE: Final = 1 << 20
UUID: Final = "8f14e45f-ceea-467f-a0e6-1d3c1f0a7c11"


@pytest.mark.parametrize("place", [0, 1, MEGABYTE - 3, MEGABYTE, 2 * MEGABYTE - 11])
def test_a_value_is_found_at_either_end_and_across_the_blocks_files_are_read_in(place: int) -> None:
    content = bytearray(2 * MEGABYTE)
    content[place : place + 11] = b"a@gmail.com"
    assert SearchTerms([b"a@gmail.com", b"b@gmail.com"]).find_in(bytes(content)) == {b"a@gmail.com"}


def test_values_that_begin_alike_or_contain_one_another_are_distinguished() -> None:
    terms = SearchTerms([b"+27821", b"+27821000001", b"+27821000002"])
    assert terms.find_in(b"call +27821000002") == {b"+27821", b"+27821000002"}
    assert terms.find_in(b"+2782") == SearchTerms([]).find_in(b"+27821000002") == set()


def test_matches_are_those_of_a_search_for_one_value_after_the_other() -> None:
    chance = random.Random(1)
    values = {bytes(chance.choices(b"abc", k=chance.randint(6, 9))) for _ in range(500)}
    content = bytes(chance.choices(b"abc", k=3_000))
    assert SearchTerms(values).find_in(content) == {value for value in values if value in content}


def test_a_profile_id_is_redacted_as_text_and_as_postgresql_stores_it(tmp_path: Path) -> None:
    file = tmp_path / "report"
    file.write_bytes(b"id " + UUID.encode() + b", " + bytes.fromhex(UUID.replace("-", "")) + b"!")
    (tmp_path / "other").write_bytes(b"nobody")
    assert redact_files(tmp_path.iterdir(), build_search_terms([UUID])) == 1
    assert file.read_bytes() == b"id [forgotten], [forgotten]!"
