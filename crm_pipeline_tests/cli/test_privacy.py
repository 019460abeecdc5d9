"""`crm-pipeline forget` shows whom it means, asks for confirmation, and refuses an ambiguous question."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from crm_pipeline.cli import main
from crm_pipeline.cli.options import override_environment
from crm_pipeline.cli.privacy_requests import ForgetError, find_person, forget_person
from crm_pipeline.explain import ProfileLookup
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.settings import ERASURE_KEY_FILE, Settings
from crm_pipeline_tests.fixtures.homes.support import ask, clean_environment, refresh
from crm_pipeline_tests.fixtures.worlds.zephyrine import KEY

FYNBOS = "fynbos-links"
LINDIWE = "lindiwe@example.com"
FAMILY = "kruisvelds@example.com"
OTHER_KEY = "ERASURE_KEY is not the key that people were forgotten with before: give that one"
SURE = "Everything we hold about this person goes and cannot be brought back. Sure? [y/N]:"


def run(home: Path, *arguments: str, key: str | None = KEY, said: str = "", **variables: str) -> Result:
    with clean_environment(**({"ERASURE_KEY": key} if key else {}), **variables):
        return CliRunner().invoke(main, [*arguments, "--tenant", FYNBOS, "--home", str(home)], input=said)


def profiles_of_lindiwe(home: Path) -> set[str]:
    query = "select profile_id::text from crm.customer_identities where service_record_id = 'player-lindiwe-nkosani'"
    return {profile_id for (profile_id,) in ask(home, query)}


@pytest.mark.parametrize(
    ("lookup", "key", "words"),
    [
        (("--email", LINDIWE), "short", "ERASURE_KEY has fewer than 32 characters"),
        (("--email", FAMILY), KEY, "3 people fit; give one of these with --profile: "),
        (("--email", "absent@example.com"), KEY, "nobody at fynbos-links has the email address absent@example.com"),
    ],
)
def test_nobody_is_forgotten_by_mistake(sample_home: Path, lookup: tuple[str, ...], key: str, words: str) -> None:
    result = run(sample_home, "forget", *lookup, "--yes", key=key)
    assert (result.exit_code, words in result.stderr) == (1, True), result.stderr


def test_forgetting_says_whom_it_means_and_asks_before_it_does_anything(sample_home: Path) -> None:
    result = run(sample_home, "forget", "--email", LINDIWE, key=None)
    assert result.exit_code == 1
    assert result.stdout == ""
    name, *counts, question = result.stderr.splitlines()
    [profile_id] = profiles_of_lindiwe(sample_home)
    assert name == f"L*** N***, profile {profile_id}"
    assert counts == ["  SCL: 1 record", "  TEETIME: 1 record"]
    assert question.startswith(SURE)
    assert question.endswith("Aborted!")
    assert not (sample_home / ERASURE_KEY_FILE).exists()


def test_whoever_was_not_shown_is_not_forgotten(sample_home: Path) -> None:
    question = ProfileLookup(FYNBOS, "email", LINDIWE)
    with clean_environment(ERASURE_KEY=KEY):
        settings = override_environment(sample_home)
        shown = find_person(settings, question)
        assert shown
        with pytest.raises(ForgetError, match="a run has just changed who is meant: ask again"):
            forget_person(settings, question, None, lambda _: None, shown._replace(record_counts={"SCL": 2}))


def test_with_a_server_of_ones_own_the_key_has_to_be_set(sample_home: Path) -> None:
    warehouse = EmbeddedPostgres(sample_home).url("crm")
    result = run(sample_home, "forget", "--email", LINDIWE, "--yes", key=None, WAREHOUSE_URL=warehouse)
    assert result.exit_code == 1
    assert "ERASURE_KEY is not set, and tombstones without a key could be guessed" in result.stderr
    assert not (sample_home / ERASURE_KEY_FILE).exists()


def test_beside_the_embedded_server_a_key_is_made_once_and_every_run_has_it(refreshed: Path) -> None:
    file, made = refreshed / ERASURE_KEY_FILE, f"a key for tombstones is made: {refreshed / ERASURE_KEY_FILE}"
    months = ("retention", "--casual-golfers-months", "600")
    first = run(refreshed, *months, key=None)
    assert (first.exit_code, made in first.stderr) == (0, True), first.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = file.read_text().strip()
    assert len(key) >= 32
    forgotten = run(refreshed, "forget", "--email", LINDIWE, key=None, said="y\n")
    assert forgotten.exit_code == 0, forgotten.stderr
    assert "is made" not in forgotten.stderr
    with clean_environment(CRM_PIPELINE_HOME=str(refreshed)):
        assert Settings.from_environment().erasure_key == key
    assert refresh(refreshed).failures == []
    assert profiles_of_lindiwe(refreshed) == set()


def test_a_key_that_is_lost_is_not_replaced(refreshed: Path) -> None:
    assert run(refreshed, "forget", "--email", LINDIWE, "--yes").exit_code == 0
    result = run(refreshed, "retention", "--forever", key=None)
    assert (result.exit_code, "ERASURE_KEY is not set" in result.stderr) == (1, True)
    assert not (refreshed / ERASURE_KEY_FILE).exists()
    for command in (
        ("retention", "--forever"),
        ("forget", "--email", FAMILY, "--yes"),
        ("unforget", "--certificate", "x"),
    ):
        result = run(refreshed, *command, key=KEY[::-1])
        assert (result.exit_code, result.stderr) == (1, f"Error: {OTHER_KEY}\n")
    assert refresh(refreshed, ERASURE_KEY=KEY).failures == []
