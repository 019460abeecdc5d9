"""`crm-pipeline forget` asks for confirmation and refuses an ambiguous question."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from crm_pipeline.cli import main
from crm_pipeline_tests.fixtures.homes.support import clean_environment
from crm_pipeline_tests.fixtures.worlds.zephyrine import KEY

FYNBOS = "fynbos-links"
LINDIWE = "lindiwe@example.com"
FAMILY = "kruisvelds@example.com"


def run(home: Path, *arguments: str, key: str | None = KEY) -> Result:
    with clean_environment(**({"ERASURE_KEY": key} if key else {})):
        return CliRunner().invoke(main, [*arguments, "--tenant", FYNBOS, "--home", str(home)])


@pytest.mark.parametrize(
    ("lookup", "key", "words"),
    [
        (("--email", LINDIWE), None, "ERASURE_KEY is not set, and tombstones without a key could be guessed"),
        (("--email", LINDIWE), "short", "ERASURE_KEY has fewer than 32 characters"),
        (("--email", FAMILY), KEY, "3 people fit; give one of these with --profile: "),
        (("--email", "nobody@example.com"), KEY, "nobody at fynbos-links has the email address nobody@example.com"),
    ],
)
def test_nobody_is_forgotten_by_mistake(
    sample_home: Path, lookup: tuple[str, ...], key: str | None, words: str
) -> None:
    result = run(sample_home, "forget", *lookup, "--yes", key=key)
    assert (result.exit_code, words in result.stderr) == (1, True), result.stderr


def test_forgetting_asks_before_it_does_anything(sample_home: Path) -> None:
    result = run(sample_home, "forget", "--email", LINDIWE)
    assert (result.exit_code, "cannot be brought back. Sure?" in result.stdout) == (1, True)
