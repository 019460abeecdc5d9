"""Whole runs on the sample in which who is whom changes: the changes, and what is published before and after."""

import shutil
from pathlib import Path
from typing import Any

from crm_pipeline.sample.office import first_profile_id
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.assets.runs import FYNBOS, HEATHER, SAGUARO, contents, mend
from crm_pipeline_tests.homes import copied
from crm_pipeline_tests.support import SAMPLE, refresh

NOON, ONE, TWO = (f"2026-03-31T{hour}:00:00Z" for hour in (12, 13, 14))
SHARED_KEYS = (
    ("messaging/Contact.csv", "ruth.ashdown@example.com", "isla.sedgeley@example.com"),
    ("crm/Lead.csv", "zola.radebeni@example.com", "adriaan.venterkop@example.org"),
    ("scl/Member.csv", "36,saguaro-ridge,,,", "36,saguaro-ridge,,frank.larkfield@example.com,"),
)
ISLA, RUTH = (HEATHER, "TEETIME", "player-isla-sedgeley"), (HEATHER, "MESSAGING", "contact-ruth-ashdown")
ADRIAAN, ZOLA = (FYNBOS, "MESSAGING", "contact-adriaan-venterkop"), (FYNBOS, "CRM", "lead-zola-radebeni")
BRIAN, FRANK = (SAGUARO, "SCL", "36"), (SAGUARO, "TEETIME", "player-frank-larkfield")
MERGED = ((ISLA, RUTH), (ADRIAAN, ZOLA), (BRIAN, FRANK))
"""The older id of each pair, which the merged profile keeps, and the younger."""
Record = tuple[str, str, str]
Tables = dict[str, list[dict[str, Any]]]


def id_of(record: Record) -> str:
    tenant, service, record_id = record
    return first_profile_id(tenant, Service(service), record_id)


def share_keys(services: Path) -> None:
    for file, old, new in SHARED_KEYS:
        mend(services / file, old, new)


def correct_keys(services: Path) -> None:
    shutil.copytree(SAMPLE, services, dirs_exist_ok=True)


def present(home: Path) -> Tables:
    """What is published of the present: profiles, identities, open questions, and the timeline but for stages."""
    tables = {name: contents(home, name) for name in ("customer_profiles", "customer_identities", "customer_timeline")}
    tables["customer_timeline"] = [e for e in tables["customer_timeline"] if e["event_type"] != "STAGE_CHANGED"]
    reviews = contents(home, "identity_reviews")
    tables["open questions"] = [{**r, "opened_at": None} for r in reviews if not r["closed_at"]]
    return tables


def ids(home: Path) -> Tables:
    return {name: contents(home, name) for name in ("profile_ids", "profile_redirects")}


def untouched(first_run: Path, folder: Path, as_of: str) -> Tables:
    """What is published at that hour where nothing happened: ages, and what lies just ahead, move by themselves."""
    with copied(first_run, folder / "untouched") as home:
        assert refresh(home, as_of=as_of).faults == []
        return present(home)
