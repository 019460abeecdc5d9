"""The effect of another minimum confidence on a tenant: merges, splits, changed opt-ins and moved money.

Both resolutions read the current lake, with the tenant's own setting (baseline) and with the other one (scenario), so
only the setting makes a difference. Nothing is stored or published. Profile ids are the only personal data shown.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from duckdb import DuckDBPyConnection
from rich.console import Console
from rich.text import Text

from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters, format_unknown_tenants
from crm_pipeline.domain.profile_facts.facts import create_golden_record
from crm_pipeline.domain.timeline import events as timelines
from crm_pipeline.explain.document import OPT_IN_COLUMNS
from crm_pipeline.explain.formatting import format_money
from crm_pipeline.resources.connections import open_lake
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import Settings
from crm_pipeline.steps.identities.resolution import read_records, resolve_tenants
from crm_pipeline.tables.outputs import identity, operations, timeline
from crm_pipeline.tables.sources import scl, teetime

COMPARISON_SQL: Final = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
TOTALS_SQL: Final = """
    select (select count(distinct profile_id) from baseline_identities) as profiles,
        (select count(distinct profile_id) from scenario_identities) as other_profiles,
        (select count(distinct before_id) from profile_moves where merges or splits) as people_affected,
        (select count(*) from opt_in_changes where is_opted_in_after) as opt_ins_on,
        (select count(*) from opt_in_changes where not is_opted_in_after) as opt_ins_off,
        (select coalesce(sum(abs(cents)), 0)::bigint from moved_money) as cents_moved,
        (select currency from tenants) as currency"""


class TenantUnavailableError(Exception):
    """The tenant cannot be resolved; the message says why in one line."""


class ProfileChange(NamedTuple):
    """A profile, and the profiles that would become it (merge) or that it would become (split)."""

    profile_id: str
    profile_ids: list[str]


@dataclass(frozen=True)
class WhatIfResult:
    """What would change.

    Attributes:
        profiles: number of profiles today.
        other_profiles: number of profiles with the other minimum confidence.
        people_affected: profiles of today that would gain or lose records.
        opt_ins_on: opt-in flags of those that would turn true.
        opt_ins_off: opt-in flags of those that would turn false.
        cents_moved: money, payments less refunds, that would be another profile's.
        merges: the id that would live, and the ids of today that it would replace.
        splits: the id of today, and the ids that would replace it.
    """

    tenant_id: str
    min_confidence: float
    other_min_confidence: float
    profiles: int
    other_profiles: int
    people_affected: int
    opt_ins_on: int
    opt_ins_off: int
    cents_moved: int
    currency: str
    merges: list[ProfileChange]
    splits: list[ProfileChange]

    def as_document(self, limit: int) -> dict[str, Any]:
        """Returns the result as JSON has it, with the number of merges and splits and the first `limit` of each."""
        document = asdict(self)
        for kind, changes in (("merges", self.merges), ("splits", self.splits)):
            document[kind] = {"count": len(changes), "first": [change._asdict() for change in changes[:limit]]}
        return document


def evaluate_min_confidence(settings: Settings, tenant_id: str, min_confidence: float) -> WhatIfResult:
    """Returns what would change for a tenant with another minimum confidence.

    Raises:
        TenantUnavailableError: the lake has no such tenant, or runs do not resolve it.
    """
    lake = open_lake(settings)
    with closing(lake.connect()) as con:
        run = RunContext(con, lake, _find_as_of(con, lake, tenant_id), "what-if", [tenant_id])
        current_min_confidence = _load_tenant_rows(run, tenant_id)
        _resolve_identities(run, tenant_id, "baseline")
        con.execute("update tenants set min_confidence = $min_confidence", {"min_confidence": min_confidence})
        _resolve_identities(run, tenant_id, "scenario")
        con.execute(COMPARISON_SQL)
        merges, splits = (
            [ProfileChange(*row) for row in con.sql(f"from {kind}").fetchall()] for kind in ("merges", "splits")
        )
        [totals] = con.sql(TOTALS_SQL).to_arrow_table().to_pylist()
        return WhatIfResult(tenant_id, current_min_confidence, min_confidence, **totals, merges=merges, splits=splits)


def _find_as_of(con: DuckDBPyConnection, lake: Lake, tenant_id: str) -> datetime:
    """Returns the time of the newest snapshots, as of which rows are validated.

    Raises:
        TenantUnavailableError: the lake has no snapshot yet.
    """
    snapshots = lake.create_current_view(con, operations.service_snapshots)
    newest: datetime | None = con.sql(f"select max(extracted_at) from {snapshots}").fetchall()[0][0]
    if newest is None:
        raise TenantUnavailableError(f"nothing is known of {tenant_id} yet: crm-pipeline run")
    return newest


def _load_tenant_rows(run: RunContext, tenant_id: str) -> float:
    """Returns the tenant's own minimum confidence, and loads what resolution, golden records and money need.

    Creates: `tenants`, `known_tenants`, the tables of `read_records`, the source views, and the views of
        withheld_consents and stage changes.

    Raises:
        TenantUnavailableError: runs do not resolve the tenant.
    """
    usable, faulty = run.load_tenants()
    if not usable:
        raise TenantUnavailableError(_describe_unavailable(run.con, tenant_id, faulty))
    run.load_all_rows()
    read_records(run)
    for table in (scl.member, teetime.booking):
        run.lake.create_log_view(run.con, table)
    for output_table in (timeline.customer_timeline, identity.withheld_consents):
        run.lake.create_current_view(run.con, output_table, tenants=[tenant_id])
    run.con.execute(timelines.CREATE_PAST_STAGE_CHANGES_VIEW)
    return usable[0].min_confidence


def _describe_unavailable(con: DuckDBPyConnection, tenant_id: str, faulty: Mapping[str, Sequence[str]]) -> str:
    """Returns why runs do not resolve a tenant.

    Reads: `known_tenants`.
    """
    known = [name for (name,) in con.sql("select distinct tenant_id from known_tenants order by 1").fetchall()]
    if tenant_id in faulty:
        return f"the Tenant row of {tenant_id} is wrong: {', '.join(faulty[tenant_id])}"
    if tenant_id in known:
        return f"{tenant_id} is closed and no longer resolved"
    return format_unknown_tenants([tenant_id], filter(None, known))


def _resolve_identities(run: RunContext, tenant_id: str, prefix: str) -> None:
    """Creates temp tables `<prefix>_identities`, `<prefix>_opt_ins` and `<prefix>_money`."""
    resolve_tenants(run, [tenant_id])
    run.con.execute("create or replace temp view customer_identities as from found_identities")
    run.con.execute("create or replace temp view profile_ids as from found_ids")
    run.con.execute(timelines.CREATE_PROFILE_TARGETS)
    run.con.execute(timelines.CREATE_PAYMENT_BOOKINGS)
    run.con.execute(f"create or replace temp table {prefix}_identities as from found_identities")
    create_golden_record(run.con)
    opt_ins = ", ".join(OPT_IN_COLUMNS)
    run.con.execute(f"""
        create or replace temp table {prefix}_opt_ins as
        unpivot (select id, {opt_ins} from golden_record) on {opt_ins} into name flag value is_opted_in""")
    run.con.execute(f"""
        create or replace temp table {prefix}_money as
        select event_id, profile_id, amount_cents from ({timelines.TIMELINE_SQL}) where amount_cents is not null""")


def print_what_if_result(console: Console, result: WhatIfResult, limit: int) -> None:
    """Prints the result as text, with profile ids as the only personal data."""
    now, other = f"{result.min_confidence:g}", f"{result.other_min_confidence:g}"
    if not (result.merges or result.splits):
        _print_line(console, f"At {other} instead of {now}, nothing would change for {result.tenant_id}.")
        return
    _print_line(
        console, f"{result.tenant_id}: a least confidence of {other} instead of {now}. Nothing has been changed."
    )
    console.print()
    for number, words in (
        (f"{result.profiles:,} → {result.other_profiles:,}", "profiles"),
        (f"{result.people_affected:,}", "people of today would gain or lose records"),
        (f"{len(result.merges):,}", "profiles would stand for several of today's"),
        (f"{len(result.splits):,}", "profiles of today would fall apart"),
        (f"{result.opt_ins_off:,}", "opt-ins would be lost"),
        (f"{result.opt_ins_on:,}", "opt-ins would be gained"),
        (format_money(result.cents_moved, result.currency), "would move to another profile"),
    ):
        _print_line(console, f"  {number:>16}  {words}")
    _print_changes(console, "Would become one:", result.merges, " ← ", limit)
    _print_changes(console, "Would fall apart:", result.splits, " → ", limit)


def _print_changes(console: Console, title: str, changes: list[ProfileChange], arrow: str, limit: int) -> None:
    if not changes:
        return
    console.print()
    _print_line(console, title)
    for change in changes[:limit]:
        _print_line(console, f"  {change.profile_id}{arrow}{', '.join(change.profile_ids)}")
    if len(changes) > limit:
        _print_line(console, f"  and {len(changes) - limit:,} more")


def _print_line(console: Console, words: str) -> None:
    console.print(Text(escape_invisible_characters(words)), soft_wrap=True)
