"""Output tables about the pipeline: quarantined records, publications, checks, measures, snapshots, watermarks."""

from sqlalchemy import Column, Double, Table

from crm_pipeline.tables.columns import (
    LONG_TEXT_LENGTH,
    extracted_at,
    flag,
    integer,
    json,
    output_metadata,
    planned_on,
    primary,
    run_id,
    stamp,
    text,
)
from crm_pipeline.vocabulary import QuarantineReason, Service, TenantStatus

quarantined_records = Table(
    "quarantined_records",
    output_metadata,
    primary(text("quarantine_id", "Hash of where and why.")),
    text("tenant_id", "The club; null where unknown.", nullable=True),
    text("service", "Service of the record.", allowed=Service),
    text("table_name", "Table of the record."),
    text("service_record_id", "Id of the record; null where it has none.", nullable=True),
    text("column_name", "The column at fault; null for the whole record.", nullable=True),
    text("reason", "What is wrong.", allowed=QuarantineReason),
    text("found_by", "The asset that found it."),
    stamp("first_seen_at", "as_of of the first run that saw it."),
    stamp("last_seen_at", "as_of of the last run that saw it."),
    text("value", "The placeholder that was read as none; null for other reasons.", nullable=True),
    comment="Records and values set aside, and why. A row leaves when the source is mended.",
)

publications = Table(
    "publications",
    output_metadata,
    primary(text("table_name", "The published table, or SERVICE.snapshot for a service's snapshot.")),
    primary(text("tenant_id", "The club.")),
    text("run_id", "The run that published."),
    stamp("as_of", "The hour the data speak of."),
    integer("rows", "Rows of the tenant in the table.", minimum=0),
    integer("version", "Version of the lake's rows that was published."),
    stamp("published_at", "When the publication was committed."),
    comment="What each tenant's tables were last published from, and how old each service's snapshot is.",
)

tenant_refreshes = Table(
    "tenant_refreshes",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    text(
        "status",
        "Its status in the CRM; null where its Tenant row is wrong or gone.",
        nullable=True,
        allowed=TenantStatus,
    ),
    text(
        "unpublished_reason",
        "Why the refresh did not publish it; null where it did, and for a closed club.",
        nullable=True,
        max_length=LONG_TEXT_LENGTH,
    ),
    stamp("as_of", "The hour of the refresh."),
    stamp("refreshed_at", "When the refresh ended."),
    run_id("The run that refreshed it."),
    comment="The last refresh of each club, whether it was published or not; view tenant_freshness says what follows.",
)

data_quality_results = Table(
    "data_quality_results",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(text("suite", "The table that was checked; tables_agree or as_usual for what is beyond one table.")),
    primary(text("expectation", "The expectation, with its column.", max_length=500)),
    flag("success", "Whether it held."),
    flag("is_critical", "Whether a failure keeps the tenant from being published."),
    integer("unexpected_count", "Rows that broke it.", minimum=0),
    integer("rows", "Rows it looked at; days of history for as_usual.", minimum=0),
    text("observed", "What was found instead, with what was expected; null where the rows say it.", nullable=True),
    stamp("checked_at", "as_of of the run that checked."),
    run_id("The run that checked."),
    comment="The latest result of every expectation, per tenant.",
)

quality_measures = Table(
    "quality_measures",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(planned_on("measured_on", "The day of the run's as_of, in UTC.")),
    primary(text("measure", "What was measured.")),
    Column("value", Double, nullable=False, comment="As last measured on that day."),
    comment="The recent past that the over-time expectations learn their bands from. Kept in the lake only.",
    info={"lake_only": True},
)

service_snapshots = Table(
    "service_snapshots",
    output_metadata,
    primary(text("tenant_id", "The club; empty where a run covered them all, and what belongs to none.")),
    primary(text("service", "The service.", allowed=Service)),
    integer("rows", "Rows the service then had for the tenant, in all its tables.", minimum=0),
    extracted_at("extracted_at", "as_of of the last extraction that was believed."),
    extracted_at("swept_at", "as_of of the last extraction that saw every key, and with them what was deleted."),
    extracted_at("read_whole_at", "as_of of the last extraction that saw every row."),
    text("origin", "The database it was: cluster, timeline and database; null for a folder.", nullable=True),
    integer("horizon", "Every transaction below this id was then seen; null for a folder.", nullable=True),
    text("normalisation", "Version of the normal forms that the rows were read with.", nullable=True),
    comment="The last believed extraction of every service, and what it covered. Kept in the lake only.",
    info={"lake_only": True, "is_input": True},
)

worked_inputs = Table(
    "worked_inputs",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(text("asset", "The asset that was computed.")),
    extracted_at("worked_at", "The as_of it was computed as of."),
    json("versions", "Of every table it read, the newest version in the lake then."),
    text("code", "Hash of the code that computed it."),
    comment="What assets were last computed from, so that an hour computes what changed. Kept in the lake only.",
    info={"lake_only": True},
)

refresh_costs = Table(
    "refresh_costs",
    output_metadata,
    primary(text("tenant_id", "The first club of the refresh.")),
    primary(text("asset", "The asset that was refreshed.")),
    primary(flag("is_full", "Whether the refresh was full.")),
    integer("rows", "Source rows that were computed: all of the refreshed clubs, or their changed ones.", minimum=0),
    Column("seconds", Double, nullable=False, comment="What the refresh took."),
    comment="The last large refreshes, from which is learned when a full one takes less time. Kept in the lake only.",
    info={"lake_only": True},
)

tenant_failures = Table(
    "tenant_failures",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(text("asset", "The asset that failed for it.")),
    text("reason", "What was wrong.", max_length=LONG_TEXT_LENGTH),
    extracted_at("failed_at", "The as_of of the refresh that failed."),
    comment="Clubs whose last refresh of an asset failed, though other clubs' did not. Kept in the lake only.",
    info={"lake_only": True},
)
