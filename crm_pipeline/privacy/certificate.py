"""The certificate of an erasure: rows removed from and remaining in each place, with hashes in place of names."""

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters
from crm_pipeline.privacy.request import ErasureRequest
from crm_pipeline.resources.privacy.tombstones import build_tombstone

OUT_OF_REACH: Final = (
    "the services themselves, which have to forget too",
    "backups of the lake and of the databases, and archived write-ahead logs, until they expire",
    "files and write-ahead log of a PostgreSQL server of your own, until its checkpoints and vacuum have passed",
    "what a BI tool, an export or a mailbox copied before",
    "free text about somebody else that mentions the person",
)


def build_certificate(
    request: ErasureRequest, tenant_id: str, key: str, remaining: Mapping[str, int]
) -> dict[str, Any]:
    """Returns one club's certificate as plain JSON values; rows are counted over all clubs of the request."""
    places = sorted(request.removed.keys() | remaining.keys())
    hashes = sorted(
        {(r.service, r.table_name, build_tombstone(key, r)) for r in request.records if r.tenant_id == tenant_id}
    )
    return {
        "certificate_id": request.certificate_id,
        "tenant_id": tenant_id,
        "forgotten_at": request.at,
        "reason": request.reason,
        "subject": request.asked,
        "people": sum(person.tenant_id == tenant_id for person in request.people),
        "records": [{"service": service, "table": table, "hash": hashed} for service, table, hashed in hashes],
        "places": [
            {"place": place, "removed": request.removed.get(place, 0), "left": remaining.get(place, 0)}
            for place in places
        ],
        "is_complete": not any(remaining.values()),
        "out_of_reach": list(OUT_OF_REACH),
    }


def print_certificate(console: Console, certificate: Mapping[str, Any]) -> None:
    """Prints the certificate: its id, the places that held rows, the hashes, and what is out of reach."""
    reason = certificate["reason"] or "none given"
    console.print(f"[bold]Certificate of erasure {certificate['certificate_id']}[/]", highlight=False)
    heading = f"{certificate['tenant_id']}, {certificate['forgotten_at']}, reason: {reason}"
    console.print(escape(escape_invisible_characters(heading)))
    place_table = Table("place", "removed", "left", title="Taken out, and left", title_justify="left")
    for place in certificate["places"]:
        if place["removed"] or place["left"]:
            place_table.add_row(place["place"], f"{place['removed']:,}", f"{place['left']:,}")
    console.print(place_table)
    empty = sum(not (place["removed"] or place["left"]) for place in certificate["places"])
    console.print(f"{empty} more places were searched and held nothing.", highlight=False)
    console.print("Kept out from now on, known by keyed hash:", highlight=False)
    for record in certificate["records"]:
        console.print(f"  {record['service']} {record['table']} {record['hash']}", highlight=False, soft_wrap=True)
    console.print("Out of reach:", highlight=False)
    for exclusion in certificate["out_of_reach"]:
        console.print(f"  {exclusion}", highlight=False, soft_wrap=True)
