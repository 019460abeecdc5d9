"""The text page of `explain`: stages and risks in words that staff know."""

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from crm_pipeline.explain.text_page import print_answer
from crm_pipeline_tests.fixtures.homes.questions import answer, page
from crm_pipeline_tests.fixtures.worlds.world_rows import HEATHER

JARGON = re.compile(r"\b[a-z]+_[a-z_0-9]+|\b[A-Z]+_[A-Z_]+\b|None|null|\bNaN\b")
CAST = (
    ("fynbos-links", "SCL:11"),
    ("fynbos-links", "SCL:13"),
    ("fynbos-links", "SCL:14"),
    ("fynbos-links", "SCL:15"),
    ("fynbos-links", "SCL:16"),
    ("fynbos-links", "SCL:19"),
    ("fynbos-links", "CRM:lead-zola-radebeni"),
    ("heather-moor", "SCL:23"),
    ("heather-moor", "SCL:25"),
    ("heather-moor", "SCL:27"),
    ("heather-moor", "SCL:28"),
    ("heather-moor", "SCL:29"),
    ("heather-moor", "MESSAGING:contact-ruth-ashdown"),
    ("heather-moor", "MESSAGING:contact-walter-holbrook"),
    ("saguaro-ridge", "SCL:31"),
    ("saguaro-ridge", "SCL:33"),
    ("saguaro-ridge", "SCL:34"),
    ("saguaro-ridge", "TEETIME:player-frank-larkfield"),
)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("SCL:25", "Advocate (a member or customer who brought somebody, within two years, who then paid or played)"),
        ("SCL:27", "100 of 100\n  This is the risk that the membership is not renewed within the next 12 months."),
        ("SCL:27", "Gave notice"),
        ("SCL:28", "Member (a running membership): the membership is overdue"),
        (
            "SCL:29",
            "Customer (has paid or played, has a paid visit planned, or a membership ended within 30 days): 3 payments",
        ),
        ("MESSAGING:contact-walter-holbrook", "clicked or answered a campaign on 22 Mar 2026"),
        ("MESSAGING:contact-ruth-ashdown", "Churn risk: no score"),
    ],
)
def test_stages_and_risks_are_described_in_words(sample_home: Path, record: str, words: str) -> None:
    assert words in page(answer(sample_home, HEATHER.slug, "record", record))


@pytest.mark.parametrize(("tenant", "record"), CAST)
def test_a_page_has_no_jargon(sample_home: Path, tenant: str, record: str) -> None:
    said = page(answer(sample_home, tenant, "record", record))
    assert JARGON.findall(said) == []


def test_what_steers_a_terminal_or_ends_a_line_is_escaped() -> None:
    people = [
        {
            "display_name": name,
            "profile_id": name,
            "records": [{"service": "SCL", "service_record_id": "\x9b31m7"}],
            "refused": [],
            "no_evidence": [],
        }
        for name in ("Ann\x1b[2J\x07", "Lee\u202egnik\u2066\u2069", "Ito\nprofile of a member\u2028\x85")
    ]
    found: dict[str, Any] = {
        "asked": {"tenant_id": "links\x1b", "by": "email", "value": "a\r@example.org"},
        "club": {"name": "Links\x9d", "timezone": "UTC"},
        "as_of": "2026-03-31T12:00:00+00:00",
        "people": people,
    }
    output = StringIO()
    print_answer(Console(file=output, width=100), found)
    assert all(line.isprintable() for line in output.getvalue().split("\n"))
    for escaped in (
        r"Ann\x1b[2J\x07",
        r"Lee\u202egnik",
        r"Ito\nprofile",
        r"\u2028\x85",
        r"\x9b31m7",
        r"a\r@example.org",
    ):
        assert escaped in output.getvalue()
