"""The properties of a sample that its users rely on, but for its faults."""

import json
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from crm_pipeline.sample import generate_sample
from crm_pipeline.sample.clubs import build_blocks, create_clubs
from crm_pipeline.sample.countries import COUNTRIES, Country
from crm_pipeline.sample.make import build_source_path
from crm_pipeline.sample.office import build_first_profile_id
from crm_pipeline.sample.people import SERVICES, draw_people
from crm_pipeline.sample.phones import (
    SPELLING_WEIGHTS,
    build_phone_numbers,
    build_pro_shop_number,
    format_phone_numbers,
)
from crm_pipeline.settings import SAMPLE_FILE, read_sample_end
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.sources import crm, scl, teetime
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.input.sample_files import TABLES, e164, files, read
from crm_pipeline_tests.fixtures.worlds.world import AS_OF

_NO_EVENTS: Final = {
    *(table.name for table in PERSON_TABLES.values()),
    "Tenant",
    "IdentityOverride",
    "SuppressedIdentifier",
}
_EVENTS: Final = tuple(table for table in TABLES if table.name not in _NO_EVENTS)
_PEOPLE, _EVENT_TARGET = 4_000, 60_000


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    generate_sample(tenants=8, people=_PEOPLE, events=_EVENT_TARGET, seed=7, out=folder, until=AS_OF, faults=0.0)
    return folder


def _truth(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "truth.csv", dtype=str)


def _records(out: Path) -> pd.DataFrame:
    """Returns every record with its person; emails and phones in one spelling, without those of the clubs."""
    parts = [read(out, table).assign(service=service.value) for service, table in PERSON_TABLES.items()]
    records = pd.concat(parts).merge(_truth(out), left_on=["service", "id"], right_on=["service", "record_id"])
    regions = read(out, crm.tenant).set_index("id")["countryCode"]
    records["email"] = records["email"].str.strip().str.lower()
    records["email"] = records["email"].mask(records["email"].str.startswith("reception@", na=False))
    pairs = zip(records["phoneNumber"], records["tenantId"].map(regions), strict=True)
    records["phone"] = [None if pd.isna(phone) else e164(phone, region) for phone, region in pairs]
    shops = {f"+{country.calling_code}{build_pro_shop_number(country)}" for country in COUNTRIES}
    records["phone"] = records["phone"].mask(records["phone"].isin(shops))
    return records


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        generate_sample(tenants=3, people=200, events=3_000, seed=seed, out=tmp_path / name, until=AS_OF, faults=0.0)
    assert files(tmp_path / "one") == files(tmp_path / "again")
    assert files(tmp_path / "one") != files(tmp_path / "other")


def test_the_folder_says_how_it_was_made_and_when_its_data_end(out: Path) -> None:
    asked = {"tenants": 8, "people": _PEOPLE, "events": _EVENT_TARGET, "seed": 7, "faults": 0.0}
    assert json.loads((out / SAMPLE_FILE).read_text()) == {"until": "2026-03-31T12:00:00Z", **asked}
    assert read_sample_end(out) == AS_OF


def test_an_end_without_a_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="time zone"):
        generate_sample(tenants=1, people=1, events=1, seed=1, out=tmp_path, until=AS_OF.replace(tzinfo=None))


def test_every_declared_table_has_its_declared_header(out: Path) -> None:
    for table in TABLES:
        header = build_source_path(out, table).read_text(encoding="utf-8").partition("\n")[0]
        assert header.split(",") == [column.name for column in table.columns]


@pytest.mark.parametrize(
    ("tenants", "people", "events"), [(1, 60, 900), (8, 4_000, 60_000), (60, 700, 7_000), (3, 1, 9)]
)
def test_totals_are_those_asked_for(tmp_path: Path, tenants: int, people: int, events: int) -> None:
    generate_sample(tenants=tenants, people=people, events=events, seed=3, out=tmp_path, until=AS_OF, faults=0.0)
    assert len(read(tmp_path, crm.tenant)) == tenants
    assert _truth(tmp_path)["person_id"].nunique() == people
    assert sum(len(read(tmp_path, table)) for table in _EVENTS) == pytest.approx(events, rel=0.02, abs=3)


@pytest.mark.parametrize("people", [1, 6, 20])
def test_a_few_people_have_faults_too(tmp_path: Path, people: int) -> None:
    generate_sample(tenants=3, people=people, events=90, seed=1, out=tmp_path, until=AS_OF)
    assert _truth(tmp_path)["person_id"].nunique() == people


def test_a_block_ends_where_the_next_begins() -> None:
    clubs = create_clubs(2)
    found = list(build_blocks(clubs, people=120_000, events=5_000_000, seed=1, until=AS_OF))
    assert len(found) > len(clubs)
    assert [each.first_person for each in found] == np.cumsum([0, *(each.count for each in found[:-1])]).tolist()
    assert found[-1].event_target == 5_000_000


def test_ids_are_unique(out: Path) -> None:
    for table in TABLES:
        assert read(out, table)["id"].is_unique, table.name


def test_values_are_as_declared(out: Path) -> None:
    for table in TABLES:
        rows = read(out, table)
        for column in table.columns:
            assert column.nullable or rows[column.name].notna().all(), column
            allowed = column.info.get("allowed")
            assert not allowed or rows[column.name].isin(allowed).all(), column


def test_references_lead_to_rows_of_the_same_club(out: Path) -> None:
    pairs = [(scl.payment.c.booking_id, teetime.booking), (scl.payment.c.refund_of_id, scl.payment)]
    pairs += [
        (column, table.metadata.tables[target])
        for table in TABLES
        for column in table.columns
        if (target := column.info.get("references")) and target != "CustomerProfile"
    ]
    for column, target in pairs:
        rows = read(out, column.table).dropna(subset=column.name)
        found = rows.merge(read(out, target), left_on=[column.name, "tenantId"], right_on=["id", "tenantId"])
        assert len(found) == len(rows) > 0, column


def test_nothing_recorded_lies_after_the_end(out: Path) -> None:
    for table in TABLES:
        rows = read(out, table)
        for column in table.columns:
            if column.info.get("recorded"):
                assert rows[column.name].dropna().le("2026-03-31T12:00:00Z").all(), column


def test_truth_names_the_person_of_every_record_once(out: Path) -> None:
    truth = _truth(out)
    for service, table in PERSON_TABLES.items():
        listed = truth[truth["service"] == service]["record_id"]
        assert sorted(listed) == sorted(read(out, table)["id"])
    assert _records(out).groupby("person_id")["tenantId"].nunique().max() == 1


@pytest.mark.parametrize(("key", "least"), [("email", 0.05), ("phone", 0.03)])
def test_enough_people_share(out: Path, key: str, least: float) -> None:
    held = _records(out).dropna(subset=key)
    people = held.groupby(["tenantId", key])["person_id"].transform("nunique")
    assert held[people > 1]["person_id"].nunique() >= least * _PEOPLE


def test_sharing_says_nothing_about_services() -> None:
    [block] = build_blocks(create_clubs(1), people=30_000, events=0, seed=5, until=AS_OF)
    people = draw_people(block)
    for place, service in enumerate(SERVICES):
        uses, shares = people.uses_service[:, place], people.has_shared_value
        assert shares[uses].mean() == pytest.approx(shares[~uses].mean(), abs=0.03), service


def test_people_of_one_service_and_of_four(out: Path) -> None:
    services = _truth(out).groupby("person_id")["service"].nunique()
    assert set(services) == {1, 2, 3, 4}


@pytest.mark.parametrize("country", COUNTRIES, ids=lambda country: country.code)
def test_made_up_phones_are_valid_in_every_spelling_and_distinct(country: Country) -> None:
    numbers = pa.concat_arrays([each for first in (0, 200) for each in build_phone_numbers(country, first, 200)])
    assert len(set(numbers.to_pylist())) == 800
    for form in range(len(SPELLING_WEIGHTS)):
        spelled = format_phone_numbers(country, numbers, np.full(len(numbers), form)).to_pylist()
        expected = [f"+{country.calling_code}{number}" for number in numbers.to_pylist()]
        assert [e164(phone, country.code) for phone in spelled] == expected


def test_crm_rows_name_profiles_whose_records_cannot_be_mistaken(out: Path) -> None:
    records = _records(out)
    keys = zip(records["tenantId"], records["service"], records["id"], strict=True)
    records["profile_id"] = [build_first_profile_id(tenant, Service(service), id_) for tenant, service, id_ in keys]
    named = pd.concat(read(out, table)["profileId"] for table in (crm.note, crm.profile_tag, crm.campaign_interaction))
    anchors = records[records["profile_id"].isin(named)]
    assert set(named) == set(anchors["profile_id"])
    their_records = records[records["person_id"].isin(anchors["person_id"])].groupby("person_id")
    assert ((their_records["email"].nunique() == 1) | (their_records.size() == 1)).all()
    holders = records.groupby(["tenantId", "email"])["person_id"].nunique()
    assert (holders.reindex(pd.MultiIndex.from_frame(anchors[["tenantId", "email"]].dropna())) == 1).all()
