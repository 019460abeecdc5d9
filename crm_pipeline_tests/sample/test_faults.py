"""A share of the rows has the faults of real input; the truth stays true, and without a share nothing changes."""

import hashlib
import re
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Final

import pandas as pd
import pytest
from phonenumbers import NumberParseException

from crm_pipeline.domain.contact_keys.email_and_name import normalise_email
from crm_pipeline.domain.ingest.row_validation import parse_rows
from crm_pipeline.sample import generate_sample
from crm_pipeline.sample.countries import COUNTRIES
from crm_pipeline.sample.make import build_source_path
from crm_pipeline.sample.phones import build_pro_shop_number
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.sources import crm, scl, teetime
from crm_pipeline_tests.fixtures.input.delivered import a_connection
from crm_pipeline_tests.fixtures.input.sample_files import TABLES, e164, files, read
from crm_pipeline_tests.fixtures.worlds.world import AS_OF

SOUND_HASH: Final = "57a72bb9d97823865e5d07d0eef19185ab6631d409125a350c0be5ade892273c"
"""Of the files without faults, which a change of the faults leaves as they are."""
EXPECTED_FAULTS: Final = {
    "1 a word for no login": (scl.member, "authUserId", r"null|None|undefined|N/A|\[object Object\]|anonymous"),
    "1 a word for no name": (teetime.player, "firstName", r"-|N/A|\.|Mrs?|Unknown"),
    "1 an address of nobody": (teetime.player, "email", r"none@none\.com|test@test\.com|noemail@.*"),
    "1 a number of nobody": (scl.member, "phoneNumber", r"0000000000|1111111111|0123456789"),
    "2 a phone as a decimal": (teetime.player, "phoneNumber", r"\+?\d+\.0"),
    "2 a phone in scientific notation": (teetime.player, "phoneNumber", r"\d\.\d+E\+\d+"),
    "2 a number as a decimal": (scl.payment, "memberId", r"\d+\.0"),
    "3 a huge amount": (scl.payment, "amountCents", "9223372036854775807"),
    "3 a huge price": (teetime.booking, "priceCents", "9223372036854775807"),
    "3 a huge fee": (scl.member, "yearlyFeeCents", "9223372036854775807"),
    "4 a remark behind a number": (crm.suppressed_identifier, "value", r".* \(pro shop\)"),
    "4 a pattern": (crm.suppressed_identifier, "value", r"\*@.*"),
    "4 an absent record": (crm.identity_override, "recordIdB", "99999999"),
    "4 a record in another spelling": (crm.identity_override, "recordIdA", r" \d+"),
    "6 an invisible character": (teetime.player, "lastName", "[\u200b\ufeff\u2060].*|.*[\u200b\ufeff\u2060]"),
    "6 a control character": (teetime.player, "firstName", r"(?s)[\t\n\x01].*|.*[\t\n\x01]"),
    "9 a booking as another number": (scl.payment, "bookingId", r"0\d+|\d+\.0| \d+|\d+\t"),
    "9 a booking that is gone": (scl.payment, "bookingId", "booking-0"),
    "11 an address in a wrapper": (teetime.player, "email", r"mailto:.*|'.*'|.*<.*>"),
    "11 an address that is none": (teetime.player, "email", r"email: .*|.* @.*|\..*"),
    "13 a login in capitals": (teetime.player, "authUserId", r"(?=.*[A-F])[0-9A-F]{8}-.*"),
    "13 a profile in braces": (crm.note, "profileId", r"\{.*\}"),
    "14 a title": (teetime.player, "firstName", r"(Dr|Mr\.|Prof) .*"),
    "14 an initial": (teetime.player, "firstName", r"\w+ [A-Z]"),
    "16 an open end": (scl.member, "endedAt", "9999-12-31T00:00:00Z"),
    "16 a planned start": (scl.member, "joinedAt", "2026-04-30T12:00:00Z"),
    "17 an extension": (teetime.player, "phoneNumber", r".*(x| ext\.? )\d+"),
}
"""Kinds by their number among the faults of real input: table, column, and a pattern of a value."""


def write(out: Path, faults: float) -> Path:
    generate_sample(tenants=5, people=3_000, events=20_000, seed=11, out=out, until=AS_OF, faults=faults)
    return out


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sound"), 0.0)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("faulty"), 0.3)


def test_without_a_share_every_byte_is_as_it_was(sound: Path) -> None:
    hashed = hashlib.sha256()
    for name, content in files(sound).items():
        hashed.update(name.encode() + b"\0" + content)
    assert hashed.hexdigest() == SOUND_HASH


def test_the_same_arguments_give_the_same_faults(faulty: Path, tmp_path: Path) -> None:
    assert files(write(tmp_path, 0.3)) == files(faulty)


@pytest.mark.parametrize(("table", "column", "pattern"), EXPECTED_FAULTS.values(), ids=EXPECTED_FAULTS.keys())
def test_every_kind_of_fault_is_made_and_none_without_a_share(
    sound: Path, faulty: Path, table: object, column: str, pattern: str
) -> None:
    def are_found(out: Path) -> bool:
        return bool(read(out, table)[column].str.fullmatch(pattern).any())  # type: ignore[arg-type]

    assert are_found(faulty)
    assert not are_found(sound)


def test_empty_lines_are_made(sound: Path, faulty: Path) -> None:
    for table in PERSON_TABLES.values():
        lines = [build_source_path(out, table).read_bytes().splitlines() for out in (sound, faulty)]
        assert [any(re.fullmatch(b",+", line) for line in each) for each in lines] == [False, True]


@pytest.mark.parametrize("share", [0.005, 0.1])
def test_so_many_rows_are_faulty_as_asked_for(sound: Path, tmp_path: Path, share: float) -> None:
    write(tmp_path, share)
    for table in (teetime.player, scl.member, teetime.booking):
        before, after = (set(build_source_path(out, table).read_bytes().splitlines()) for out in (sound, tmp_path))
        # Some rows have a second fault of an account or booking, and some faults change nothing.
        assert 0.3 * share <= len(before - after) / len(before) <= 2.5 * share, table.name


def test_the_truth_is_the_same_and_every_record_is_there(sound: Path, faulty: Path) -> None:
    assert (sound / "truth.csv").read_bytes() == (faulty / "truth.csv").read_bytes()
    for table in TABLES:
        if table in (crm.suppressed_identifier, crm.identity_override):
            continue
        before, after = (read(out, table).dropna(how="all")["id"] for out in (sound, faulty))
        assert sorted(_without_prefix(after)) == sorted(_without_prefix(before)), table.name


def _without_prefix(ids: Iterable[str]) -> list[str]:
    return [text.removeprefix("booking-") for text in ids]


def test_no_fault_gives_a_person_the_key_of_another(sound: Path, faulty: Path) -> None:
    """As the pipeline reads them, the values that several people have are those they share without faults."""
    assert _find_shared_values(faulty) <= _find_shared_values(sound)


def _find_shared_values(out: Path) -> set[tuple[str, str, str]]:
    """The people who have one login, email or phone of a club, as pairs in order."""
    truth = pd.read_csv(out / "truth.csv", dtype=str)
    regions = read(out, crm.tenant).set_index("id")["countryCode"]
    shops = {f"+{country.calling_code}{build_pro_shop_number(country)}" for country in COUNTRIES}
    holders: dict[tuple[str, str], set[str]] = {}
    con = a_connection()
    for service, table in PERSON_TABLES.items():
        con.read_csv(str(build_source_path(out, table)), all_varchar=True, quotechar='"').to_view("raw", replace=True)
        parse_rows(con, table, "raw", "parsed")
        person = truth[truth["service"] == service].set_index("record_id")["person_id"]
        columns = "tenant_id, cast(id as varchar), auth_user_id, email, phone_number"
        for tenant, record, login, email, phone in con.sql(
            f"select {columns} from parsed where id is not null"
        ).fetchall():
            number = _read_phone(phone, regions[tenant]) if phone else None
            keys = (login, email and normalise_email(email), None if number in shops else number)
            for key in filter(None, keys):
                holders.setdefault((tenant, key), set()).add(person[record])
    return {(key, *pair) for (_, key), people in holders.items() for pair in combinations(sorted(people), 2)}


def _read_phone(phone: str, region: str) -> str | None:
    try:
        return e164(phone, region)
    except NumberParseException:
        return None
