"""What another least confidence would do to a club: who would become one person or several, and what goes with them.

Both answers come from the lake as it is, resolved with the club's own setting and with the other one, so nothing else
can make a difference. Nothing is kept and nothing published; of people only profile ids are named.
"""

from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from duckdb import DuckDBPyConnection
from rich.console import Console
from rich.text import Text

from crm_pipeline.domain.ingest.tenant_validation import format_unknown_tenants
from crm_pipeline.domain.profile_facts.facts import GOLDEN_RECORD_FILE
from crm_pipeline.domain.timeline import events as timelines
from crm_pipeline.resources.connections import open_lake
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import Settings
from crm_pipeline.steps.identities.resolution import read_records, resolve_tenants
from crm_pipeline.tables.outputs import operations, timeline
from crm_pipeline.tables.sources import teetime

COMPARISON_SQL: Final = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
TOTALS_SQL: Final = """
    select (select count(distinct profile_id) from present_identities) as profiles,
        (select count(distinct profile_id) from other_identities) as other_profiles,
        (select count(distinct before_id) from moves where merges or splits) as people_affected,
        (select count(*) from opt_ins where would_be) as opt_ins_on,
        (select count(*) from opt_ins where not would_be) as opt_ins_off,
        (select coalesce(sum(abs(cents)), 0)::bigint from money) as cents_moved,
        (select currency from tenants) as currency"""


class TenantUnavailableError(Exception):
    """The club cannot be looked at; the message says why in one line."""


class ProfileChange(NamedTuple):
    """A profile and the several that would become it, or that it would become."""

    profile_id: str
    profile_ids: list[str]


@dataclass(frozen=True)
class WhatIfResult:
    """What would change.

    Attributes:
        people_affected: profiles of today that would gain or lose records.
        opt_ins_on: flags of theirs that would turn true; `opt_ins_off`: false.
        cents_moved: money, payments less refunds, that would be another profile's.
        merges: the id that would live, and the ids of today that it would stand for.
        splits: the id of today, and the ids it would fall into.
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
        """As JSON has it: of merges and splits the number, and the first ones."""
        document = asdict(self)
        for kind, changes in (("merges", self.merges), ("splits", self.splits)):
            document[kind] = {"count": len(changes), "first": [change._asdict() for change in changes[:limit]]}
        return document


def evaluate_min_confidence(settings: Settings, tenant_id: str, min_confidence: float) -> WhatIfResult:
    """Resolve the club as it is and with another least confidence, and compare.

    Raises:
        NotKnownError: the lake has no such club, or one that runs leave alone.
    """
    lake = open_lake(settings)
    with closing(lake.connect()) as con:
        this = RunContext(con, lake, _find_as_of(con, lake, tenant_id), "what-if", [tenant_id])
        present = _load_tenant_rows(this, tenant_id)
        _resolve_identities(this, tenant_id, "present")
        con.execute("update tenants set min_confidence = $other", {"other": min_confidence})
        _resolve_identities(this, tenant_id, "other")
        con.execute(COMPARISON_SQL)
        merges, splits = (
            [ProfileChange(*row) for row in con.sql(f"from {kind}").fetchall()] for kind in ("merges", "splits")
        )
        totals = dict(zip(con.sql(TOTALS_SQL).columns, con.sql(TOTALS_SQL).fetchall()[0], strict=True))
        return WhatIfResult(tenant_id, present, min_confidence, **totals, merges=merges, splits=splits)


def _find_as_of(con: DuckDBPyConnection, lake: Lake, tenant_id: str) -> datetime:
    """The hour of the newest snapshots, by which rows are judged."""
    snapshots = lake.current(con, operations.service_snapshots)
    newest: datetime | None = con.sql(f"select max(extracted_at) from {snapshots}").fetchall()[0][0]
    if newest is None:
        raise TenantUnavailableError(f"nothing is known of {tenant_id} yet: crm-pipeline run")
    return newest


def _load_tenant_rows(run: RunContext, tenant_id: str) -> float:
    """Read what resolutions, golden records and money are made from; return the club's own least confidence."""
    usable, faulty = run.load_tenants()
    if not usable:
        known = [name for (name,) in run.con.sql("select distinct tenant_id from known_tenants order by 1").fetchall()]
        if tenant_id in faulty:
            raise TenantUnavailableError(f"the Tenant row of {tenant_id} is wrong: {', '.join(faulty[tenant_id])}")
        if tenant_id in known:
            raise TenantUnavailableError(f"{tenant_id} is closed and no longer resolved")
        raise TenantUnavailableError(format_unknown_tenants([tenant_id], filter(None, known)))
    run.load_all_rows()
    read_records(run)
    run.lake.log(run.con, teetime.booking)
    run.lake.current(run.con, timeline.customer_timeline, tenants=[tenant_id])
    run.con.execute(timelines.CREATE_STAGE_CHANGES_VIEW)
    return usable[0].min_confidence


def _resolve_identities(run: RunContext, tenant_id: str, name: str) -> None:
    """Create temp tables <name>_identities, <name>_profiles and <name>_money."""
    resolve_tenants(run, [tenant_id])
    run.con.execute("create or replace temp view customer_identities as from found_identities")
    run.con.execute("create or replace temp view profile_ids as from found_ids")
    run.con.execute(timelines.CREATE_PROFILE_TARGETS)
    run.con.execute(f"create or replace temp table {name}_identities as from found_identities")
    run.con.execute(f"create or replace temp table {name}_profiles as {GOLDEN_RECORD_FILE.read_text(encoding='utf-8')}")
    run.con.execute(f"""
        create or replace temp table {name}_money as
        select event_id, profile_id, amount_cents from ({timelines.TIMELINE_SQL}) where amount_cents is not null""")


def print_what_if_result(console: Console, effect: WhatIfResult, limit: int) -> None:
    """Print the effect for people; only ids, never names."""
    now, other = f"{effect.min_confidence:g}", f"{effect.other_min_confidence:g}"
    if not (effect.merges or effect.splits):
        _print_line(console, f"At {other} instead of {now}, nothing would change for {effect.tenant_id}.")
        return
    _print_line(
        console, f"{effect.tenant_id}: a least confidence of {other} instead of {now}. Nothing has been changed.\n"
    )
    for number, words in (
        (f"{effect.profiles:,} → {effect.other_profiles:,}", "profiles"),
        (f"{effect.people_affected:,}", "people of today would gain or lose records"),
        (f"{len(effect.merges):,}", "profiles would stand for several of today's"),
        (f"{len(effect.splits):,}", "profiles of today would fall apart"),
        (f"{effect.opt_ins_off:,}", "opt-ins would be lost"),
        (f"{effect.opt_ins_on:,}", "opt-ins would be gained"),
        (f"{effect.currency} {effect.cents_moved / 100:,.2f}", "would move to another profile"),
    ):
        _print_line(console, f"  {number:>16}  {words}")
    _print_changes(console, "Would become one:", effect.merges, " ← ", limit)
    _print_changes(console, "Would fall apart:", effect.splits, " → ", limit)


def _print_changes(console: Console, title: str, changes: list[ProfileChange], arrow: str, limit: int) -> None:
    if not changes:
        return
    _print_line(console, f"\n{title}")
    for change in changes[:limit]:
        _print_line(console, f"  {change.profile_id}{arrow}{', '.join(change.profile_ids)}")
    if len(changes) > limit:
        _print_line(console, f"  and {len(changes) - limit:,} more")


def _print_line(console: Console, words: str) -> None:
    console.print(Text(words), soft_wrap=True)
