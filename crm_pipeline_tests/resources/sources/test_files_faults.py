"""A folder that cannot be read: one clear line, with the service and the file and without data."""

from contextlib import closing
from pathlib import Path

import pytest

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.input.contact_files import (
    ADA,
    HEADER,
    SECRET,
    a_line,
    as_csv,
    as_jsonl,
    csv_of,
    refused,
    snapshot,
)
from crm_pipeline_tests.fixtures.input.delivered import a_connection

CSV_FAULTS = {
    "line 3: another number of values than the header has": f"{HEADER}\n{a_line()}\n{SECRET},{SECRET}\n",
    "line 2: another number of values than the header has": f"{HEADER}\n{a_line()},{SECRET}\n",
    "line 3: a quote is never closed": f'{HEADER}\n{a_line()}\n"{SECRET},links\n',
}


@pytest.mark.parametrize(("fault", "text"), CSV_FAULTS.items())
def test_a_malformed_csv_is_refused_with_the_line_and_without_its_data(tmp_path: Path, fault: str, text: str) -> None:
    (tmp_path / "Contact.csv").write_text(text)
    assert refused(tmp_path) == f"MESSAGING: Contact.csv cannot be read: {fault}"


@pytest.mark.parametrize(("rows", "where"), [(0, ""), (100_000, "line 100002: ")])
def test_what_is_not_utf_8_is_refused(tmp_path: Path, rows: int, where: str) -> None:
    text = f"{HEADER}\n" + f"{a_line()}\n" * rows + a_line(firstName=f"{SECRET}é") + "\n"
    (tmp_path / "Contact.csv").write_bytes(text.encode("latin-1"))
    assert refused(tmp_path) == f"MESSAGING: Contact.csv cannot be read: {where}it is not UTF-8"


JSON_FAULTS = {
    '{"id": "8", "email": secret}': "it is no JSON",
    '["secret"]': "it is no JSON object",
    '{"id": "secret", "email": "a", "email": "b"}': "a key appears twice",
}


@pytest.mark.parametrize(("line", "fault"), JSON_FAULTS.items())
def test_malformed_json_is_refused_with_the_line_and_without_its_data(tmp_path: Path, line: str, fault: str) -> None:
    as_jsonl(tmp_path, [ADA])
    with (tmp_path / "Contact.jsonl").open("a") as file:
        file.write(f"{line}\n")
    assert refused(tmp_path) == f"MESSAGING: Contact.jsonl cannot be read: line 2: {fault}"


@pytest.mark.parametrize("content", [b"", b"PAR1 secret, and no Parquet"])
def test_what_is_no_parquet_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "Contact.parquet").write_bytes(content)
    assert refused(tmp_path) == "MESSAGING: Contact.parquet cannot be read: it is no Parquet file"


def test_columns_that_are_there_twice_are_named(tmp_path: Path) -> None:
    csv_of(tmp_path, f"{a_line()},{SECRET},{SECRET}", header=f"{HEADER},id,email")
    assert refused(tmp_path) == "MESSAGING: Contact.csv has column id, email twice"


def test_missing_columns_are_named(tmp_path: Path) -> None:
    as_jsonl(tmp_path, [{"id": "7"}])
    (tmp_path / "Contact.jsonl").write_text('{"id": "7", "tenantId": "links", "updatedat": "wrong case"}\n')
    fault = "Contact.jsonl has no column authUserId, email, phoneNumber, firstName, lastName, emailOptIn, smsOptIn,"
    assert refused(tmp_path) == f"MESSAGING: {fault} pushOptIn, whatsappOptIn, createdAt, updatedAt"
    (tmp_path / "Contact.jsonl").unlink()
    csv_of(tmp_path, a_line(), header=HEADER.replace("email,", "mail,"))
    assert refused(tmp_path) == "MESSAGING: Contact.csv has no column email"


def test_a_table_delivered_twice_is_not_guessed_at(tmp_path: Path) -> None:
    as_csv(tmp_path, [ADA])
    as_jsonl(tmp_path, [ADA])
    assert refused(tmp_path) == f"MESSAGING: {tmp_path} has both Contact.csv and Contact.jsonl"


def test_missing_tables_are_named(tmp_path: Path) -> None:
    sources = Sources({Service.MESSAGING: str(tmp_path)})
    with closing(a_connection()) as con:
        with pytest.raises(SourceError, match=r"MESSAGING: .* has no Contact, no MessageEvent \(\.csv, \.parquet"):
            sources.read_snapshot(con, Service.MESSAGING)
        as_csv(tmp_path, [ADA])
        with pytest.raises(SourceError, match=r"MESSAGING: .* has no MessageEvent \(\.csv"):
            sources.read_snapshot(con, Service.MESSAGING)


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere") == f"MESSAGING: there is no folder {tmp_path}/nowhere"
    assert refused("postgres/dumps") == "MESSAGING: there is no folder postgres/dumps"
    assert refused("s3://bucket/x") == "MESSAGING: MESSAGING_SOURCE must be a folder or a postgresql:// URL"
    with closing(a_connection()) as con, pytest.raises(SourceError, match="SCL: SCL_SOURCE is not set"):
        Sources({Service.MESSAGING: str(tmp_path)}).read_snapshot(con, Service.SCL)


def test_a_file_that_memory_is_too_little_for_is_not_called_damaged(tmp_path: Path) -> None:
    csv_of(tmp_path, *[a_line(lastName="x" * 1_000)] * 50_000)
    with closing(Lake(str(tmp_path / "lake"), tmp_path / "spill", memory="20MB").connect()) as con:
        with pytest.raises(SourceError) as error:
            snapshot(con, str(tmp_path))
        assert str(error.value) == "MESSAGING: Contact.csv cannot be read: CRM_PIPELINE_MEMORY is too little for it"
