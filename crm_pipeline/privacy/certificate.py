"""The certificate of an erasure: what was taken out of each place and that nothing is left, with hashes for names."""

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crm_pipeline.privacy.request import ErasureRequest
from crm_pipeline.resources.privacy.tombstones import build_tombstone

OUT_OF_REACH: Final = (
    "the services themselves, which have to forget too",
    "backups of the lake and of the databases, and archived write-ahead logs, until they expire",
    "files and write-ahead log of a PostgreSQL server of your own, until its checkpoints and vacuum have passed",
    "what a BI tool, an export or a mailbox copied before",
    "free text about somebody else that mentions the person",
)


def build_certificate(order: ErasureRequest, tenant_id: str, key: str, left: Mapping[str, int]) -> dict[str, Any]:
    """One club's certificate as plain JSON values; rows are counted over all clubs of the order."""
    places = sorted(order.removed.keys() | left.keys())
    hashes = sorted(
        {(r.service, r.table_name, build_tombstone(key, r)) for r in order.records if r.tenant_id == tenant_id}
    )
    return {
        "certificate_id": order.certificate_id,
        "tenant_id": tenant_id,
        "forgotten_at": order.at,
        "reason": order.reason,
        "subject": order.asked,
        "people": sum(person.tenant_id == tenant_id for person in order.people),
        "records": [{"service": service, "table": table, "hash": hashed} for service, table, hashed in hashes],
        "places": [
            {"place": place, "removed": order.removed.get(place, 0), "left": left.get(place, 0)} for place in places
        ],
        "is_complete": not any(left.values()),
        "out_of_reach": list(OUT_OF_REACH),
    }


def print_certificate(console: Console, issued: Mapping[str, Any]) -> None:
    """The certificate as a page."""
    console.print(f"[bold]Certificate of erasure {issued['certificate_id']}[/]", highlight=False)
    console.print(
        escape(f"{issued['tenant_id']}, {issued['forgotten_at']}, reason: {issued['reason'] or 'none given'}")
    )
    shown = Table(title="Taken out, and left", title_justify="left")
    for heading in ("place", "removed", "left"):
        shown.add_column(heading)
    for place in issued["places"]:
        if place["removed"] or place["left"]:
            shown.add_row(place["place"], f"{place['removed']:,}", f"{place['left']:,}")
    console.print(shown)
    empty = sum(not (place["removed"] or place["left"]) for place in issued["places"])
    console.print(f"{empty} more places were searched and held nothing.", highlight=False)
    console.print("Kept out from now on, known by keyed hash:", highlight=False)
    for record in issued["records"]:
        console.print(f"  {record['service']} {record['table']} {record['hash']}", highlight=False, soft_wrap=True)
    console.print("Out of reach:", highlight=False)
    for words in issued["out_of_reach"]:
        console.print(f"  {words}", highlight=False, soft_wrap=True)
