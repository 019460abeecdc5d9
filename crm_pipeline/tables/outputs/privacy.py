"""Output tables about forgotten people: keyed hashes of their records' ids, and the club's money as sums."""

from sqlalchemy import Table

from crm_pipeline.tables.columns import extracted_at, integer, output_metadata, primary, text

tombstones = Table(
    "tombstones",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(text("hash", "HMAC-SHA256 of club, service, table and record id.")),
    text("key_id", "Hash of the key, so that a run with another one is refused."),
    text(
        "certificate_id",
        "The certificate of the erasure; `unforget` takes its tombstones away."
        " Where retention removed several people, the number of each stands behind a dash.",
    ),
    extracted_at("forgotten_at", "When the person was forgotten; of retention's, how far their club was known then."),
    comment="Records that are kept out of every extraction. Kept in the lake and in schema privacy.",
    info={"lake_only": True, "is_input": True},
)

returned_golfers = Table(
    "returned_golfers",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(text("certificate_id", "What the tombstones that ended say.")),
    extracted_at("returned_at", "as_of of the run that read of something they did since."),
    comment="Golfers whom retention removed and who came again: their tombstones keep nothing out any more.",
    info={"lake_only": True, "is_input": True},
)

forgotten_sums = Table(
    "forgotten_sums",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(text("certificate_id", "The certificate of the erasure.")),
    primary(integer("year", "Calendar year in UTC.")),
    primary(text("currency", "ISO 4217 code.")),
    integer("amount_cents", "Money that came in less refunds."),
    comment="The summands of forgotten_totals, so that unforget can take one back. In the lake and schema privacy.",
    info={"lake_only": True, "is_input": True},
)

forgotten_totals = Table(
    "forgotten_totals",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(integer("year", "Calendar year in UTC.")),
    primary(text("currency", "ISO 4217 code.")),
    integer("amount_cents", "Money that came in less refunds, in hundredths of the currency's unit."),
    comment="Money of people who were forgotten, as sums without anybody's id: add it to the timeline's.",
    info={"is_input": True},
)
