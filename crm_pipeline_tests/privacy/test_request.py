"""Unfinished erasure requests on disk: their JSON keys stay, and files of earlier versions are read."""

import json
from pathlib import Path
from typing import Final

from crm_pipeline.privacy.request import ErasureRequest, SubjectData, YearlyRevenue, read_pending_requests
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy.tombstones import SubjectRecord

STORED: Final = (
    '{"certificate_id": "c1", "at": "2026-04-02T12:00:00+00:00", "asked": "5f1e", "reason": "by letter",'
    ' "people": [["links", "2026-04-02T12:00:00+00:00", [["links", "SCL", "Member", "7"]], [[2025, "ZAR", 900]]]],'
    ' "followers": [["links", "SCL", "Payment", "70"]], "values": ["ann@example.com"],'
    ' "removed": {"lake: scl_member": 2}}'
)
"""The file of a killed `forget` as the code wrote it before its fields were renamed."""
REQUEST: Final = ErasureRequest(
    certificate_id="c1",
    at="2026-04-02T12:00:00+00:00",
    asked="5f1e",
    reason="by letter",
    people=[
        SubjectData(
            "links",
            "2026-04-02T12:00:00+00:00",
            [SubjectRecord("links", "SCL", "Member", "7")],
            [YearlyRevenue(2025, "ZAR", 900)],
        )
    ],
    dependent_rows=[SubjectRecord("links", "SCL", "Payment", "70")],
    values=["ann@example.com"],
    removed={"lake: scl_member": 2},
)


def test_a_file_of_the_earlier_code_is_read(lake: Lake) -> None:
    folder = Path(lake.url) / "_pending_erasures"
    folder.mkdir(parents=True)
    (folder / "c1.json").write_text(STORED)
    assert list(read_pending_requests(lake)) == [REQUEST]


def test_a_request_is_stored_with_the_same_keys_and_read_again(lake: Lake) -> None:
    REQUEST.store(lake)
    file = Path(lake.url) / "_pending_erasures" / "c1.json"
    assert json.loads(file.read_text()) == json.loads(STORED)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(read_pending_requests(lake)) == [REQUEST]
    REQUEST.delete(lake)
    assert not file.parent.exists()
