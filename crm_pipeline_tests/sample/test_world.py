"""The hand-written world covers every kind of row, and the sample in the repository is built from it."""

from pathlib import Path

from crm_pipeline.settings import SAMPLE_FILE
from crm_pipeline.tables.sources import crm, scl, teetime
from crm_pipeline.vocabulary import QuarantineReason
from crm_pipeline_tests.fixtures.homes.support import SAMPLE
from crm_pipeline_tests.fixtures.input.sample_files import TABLES, e164, files, read
from crm_pipeline_tests.fixtures.worlds.world import bad_rows, cast, write_sample, write_world
from crm_pipeline_tests.fixtures.worlds.world_rows import CLUBS, Row


def test_the_sample_in_the_repository_is_current(tmp_path: Path) -> None:
    write_sample(tmp_path)
    made, kept = (files(folder) | {SAMPLE_FILE: (folder / SAMPLE_FILE).read_bytes()} for folder in (tmp_path, SAMPLE))
    assert made == kept, "run `python -m crm_pipeline_tests.fixtures.worlds.world data/sample`"


def _valid_rows() -> list[Row]:
    bad = [row for reason, row in bad_rows() if reason]
    return [row for row in cast() if row not in bad]


def test_the_cast_is_written_to_every_table(tmp_path: Path) -> None:
    write_world(tmp_path)
    assert {table.name for table in TABLES if len(read(tmp_path, table))} == {table.name for table in TABLES}
    assert sum(len(read(tmp_path, table)) for table in TABLES) == len(cast()) + len(CLUBS)


def test_the_cast_shows_every_kind_and_status() -> None:
    for table in (scl.member, scl.payment, teetime.booking, crm.campaign_interaction, crm.identity_override):
        for column in table.columns:
            shown = {
                row.values[column.name] for row in _valid_rows() if row.table is table and column.name in row.values
            }
            assert column.key.startswith("service") or set(column.info.get("allowed") or ()) <= shown, column


def test_the_valid_rows_of_the_cast_have_ids_of_their_own_and_valid_phones() -> None:
    rows = _valid_rows()
    assert len({(row.table.name, row.id) for row in rows}) == len(rows)
    phones = [(str(row.values["phoneNumber"]), row.club.country.code) for row in rows if "phoneNumber" in row.values]
    assert all(e164(phone, region) for phone, region in phones)


def test_a_bad_row_for_every_reason_a_file_can_give() -> None:
    # A NUL would make git take the file for a binary one; a bad setting stops its tenant, not a row.
    elsewhere = {QuarantineReason.NUL_BYTE, QuarantineReason.INVALID_SETTING}
    assert {reason for reason, _ in bad_rows() if reason} == set(QuarantineReason) - elsewhere
