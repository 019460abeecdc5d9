"""Counts, scores and stages of a chain next to one plain GROUP BY: `python -m benchmarks.scores`.

A made-up timeline is kept in a lake, then read by two processes, one after the other: the plain one counts, sums and
takes the latest of every profile's events and its distinct days; ours does all of scores.md. Seconds are from opening
the lake to the finished relation; memory is the peak of the process. Who is who was settled before and is not timed.
"""

import argparse
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb
from sqlalchemy import Table

from benchmarks.apart import forget_peak, measured, peak_mb, tell
from benchmarks.results import AT_MOST, Row, keep
from crm_pipeline.domain.as_of import define_as_of
from crm_pipeline.domain.churn.parameters import load_models
from crm_pipeline.domain.scoring.lifecycle import find_stage_changes
from crm_pipeline.domain.scoring.scores import score_profiles
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.tables.outputs import churn, profiles, timeline
from crm_pipeline.tables.projections import to_duckdb_type
from crm_pipeline.tables.sources import scl

AS_OF: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
CLUBS: Final = 200
PARTS: Final = 20
ASKED_FROM: Final = 1_000_000
"""People. Below, compiling the queries costs more than running them."""
ALLOWED_TIMES, ALLOWED_MB = 3.0, 2048.0
PLAIN: Final = """
    create temp table plain as
    select tenant_id, profile_id, count(*) as events, sum(amount_cents) as cents, max(occurred_at) as latest,
        count(distinct cast(occurred_at as date)) as days
    from customer_timeline group by tenant_id, profile_id"""
# Clubs of very different sizes: the first has a fifth of the people.
PEOPLE: Final = """
    create temp table people as
    select 'club-' || lpad(cast(cast(floor(pow(hash(i) % 10007 / 10007.0, 3) * {clubs}) as bigint) as varchar), 3, '0')
        as tenant_id, cast(md5(cast(i as varchar)) as uuid)::varchar as id, i, hash(i, 1) % 100 < 22 as is_member,
        hash(i, 2) % 900 as begun, 1 + hash(i, 3) % 5 as eagerness
    from range({people}) t(i)"""
KINDS: Final = """
    case kind when 0 then 'ROUND_PLAYED' when 1 then 'BOOKING_MADE' when 2 then 'PAYMENT' when 3 then 'MESSAGE_OPENED'
        when 4 then 'MESSAGE_CLICKED' when 5 then 'COMPETITION_ENTERED' else 'MESSAGE_SENT' end"""
COUNTS: Final = """
    case kind when 0 then 'ROUND_PLAYED' when 1 then 'PLAYED_BOOKING' when 2 then 'PAYMENT' when 3 then 'OPEN'
        when 4 then 'CLICK' end"""
EVENTS: Final = f"""
    select tenant_id, 'TEETIME:Booking:' || n || ':' || i as event_id, id as profile_id,
        as_of() - to_seconds(cast(86400 * begun * (1 - pow(hash(i, n) % 10007 / 10007.0, eagerness)) as bigint))
            as occurred_at,
        'TEETIME' as source, {KINDS} as event_type, cast(n as varchar) as service_record_id, {COUNTS} as counts_as,
        case kind when 2 then 2000 + hash(i, n, 2) % 9000 end as amount_cents,
        case kind when 2 then 'EUR' end as currency, 'Came' as summary, '{{{{}}}}' as details,
        case kind when 2 then 'VISIT' end as visit_kind, null::timestamptz as visit_at
    from (select *, hash(i, n, 3) % 12 as kind from people, range({{each}}) t(n) where tenant_id in ({{clubs}}))"""


def main() -> None:
    """Make the lake, time both, print them; exits with 1 where ours is slower or larger than allowed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--side", choices=["plain", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--lake", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        seconds, peak = run_side(given.side, lake_at(Path(given.lake)))
        tell(seconds=seconds, peak=peak)
        return
    with tempfile.TemporaryDirectory() as folder:
        make_lake(lake_at(Path(folder)), given.people, given.events)
        sides = {side: measured("benchmarks.scores", "--side", side, "--lake", folder) for side in ("plain", "ours")}
    sys.exit(report(sides, given.people))


def lake_at(folder: Path) -> Lake:
    """The lake in a folder."""
    return Lake(str(folder / "lake"), folder / "spill")


def report(sides: dict[str, dict[str, float]], people: int) -> int:
    """Keep and print both sides; 1 where ours is not within what is allowed."""
    ours, plain, size = sides["ours"], sides["plain"], (people, "people")
    against = "plain GROUP BY", plain["seconds"], AT_MOST, ALLOWED_TIMES if people >= ASKED_FROM else None
    rows = [
        Row("scores", *size, ours["seconds"], *against, peak_mb=ours["peak"]),
        Row("scores, memory", *size, ours["peak"], "2 GiB", ALLOWED_MB, AT_MOST, 1, unit="MB"),
    ]
    return int(not keep(__spec__.name, rows, people))


def run_side(side: str, lake: Lake) -> tuple[float, float]:
    """Seconds from opening the lake to the finished relation, and the peak MB of this process."""
    forget_peak()
    with closing(lake.connect()) as con:
        con.execute("set memory_limit = '1300MB'")
        started = time.perf_counter()
        lake.create_current_view(con, timeline.customer_timeline)
        if side == "plain":
            con.execute(PLAIN)
        else:
            score(con, lake)
        seconds = time.perf_counter() - started
    return seconds, peak_mb()


def score(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Everything of scores.md, for people whose names, consent and membership are known."""
    for table in (profiles.customer_profiles, scl.member, scl.payment, churn.churn_models):
        lake.create_current_view(con, table)
    define_clubs(con)
    con.execute("""
        create temp view golden_record as
        select p.* exclude (status, lifecycle_stage, engagement_score, churn_risk_score, churn_basis, lifetime_value,
                currency, predicted_value_12m, last_activity_at, activity_count_30d, booking_count_30d,
                engagement_reasons, churn_reasons, updated_at, _row_hash, _known_at, _version),
            m.joined_at, m.renews_on, m.ended_at, m.notice_given_at, m.yearly_fee_cents,
            m.updated_at as first_ended_at, m.created_at as player_since
        from customer_profiles p left join scl_member m on m.tenant_id = p.tenant_id and m.id = p.scl_member_id""")
    score_profiles(con, load_models(con))
    find_stage_changes(con)


def define_clubs(con: duckdb.DuckDBPyConnection) -> None:
    """The hour and the clubs, in three time zones."""
    define_as_of(con, AS_OF)
    con.execute(f"""
        create or replace temp table tenants as
        select 'club-' || lpad(cast(i as varchar), 3, '0') as tenant_id, 'EUR' as currency,
            ['Europe/Berlin', 'Pacific/Auckland', 'America/Phoenix'][1 + i % 3] as timezone
        from range({CLUBS}) t(i)""")


def make_lake(lake: Lake, people: int, events: int) -> None:
    """Keep the made-up chain, some clubs at a time."""
    with closing(lake.connect()) as con:
        define_clubs(con)
        con.execute(PEOPLE.format(people=people, clubs=CLUBS))
        names = [row[0] for row in con.sql("select tenant_id from tenants order by 1").fetchall()]
        for part in range(PARTS):
            clubs = names[part::PARTS]
            listed = ", ".join(f"'{club}'" for club in clubs)
            con.execute("create or replace temp view made as " + EVENTS.format(each=events // people, clubs=listed))
            lake.replace(con, timeline.customer_timeline, "made", tenants=clubs, known_at=AS_OF)
        put(con, lake, profiles.customer_profiles, PROFILE_VALUES)
        put(con, lake, scl.member, MEMBER_VALUES, "where is_member")


PROFILE_VALUES: Final = {
    "tenant_id": "tenant_id",
    "id": "id",
    "scl_member_id": "case when is_member then i end",
    "display_name": "'Golfer ' || i",
    "membership_status": "case when is_member then case when hash(i, 5) % 10 = 0 then 'LAPSED' else 'ACTIVE' end end",
    "membership_tier": "case when is_member then ['Gold', 'Silver', 'Junior'][1 + cast(hash(i, 4) % 3 as bigint)] end",
    "email_opt_in": "hash(i, 6) % 2 = 0",
    "lifecycle_stage": "'LEAD'",
    "tags": "[]",
    "identity_confidence": "1.0",
    "updated_at": "as_of()",
}
MEMBER_VALUES: Final = {
    "tenant_id": "tenant_id",
    "id": "i",
    "_record_key": "cast(i as varchar)",
    "_problems": "[]",
    "joined_at": "as_of() - to_days(cast(30 + hash(i, 7) % 3000 as integer))",
    "yearly_fee_cents": "120000",
    "updated_at": "as_of() - interval 40 days",
}


def put(con: duckdb.DuckDBPyConnection, lake: Lake, table: Table, values: dict[str, str], where: str = "") -> None:
    """Keep a table made from `people`; columns not given are empty."""
    kinds = {c.key: to_duckdb_type(c) for c in table.columns}
    columns = dict.fromkeys(kinds, "null") | values
    made = ", ".join(
        f"cast({value} as {kinds.get(key, 'VARCHAR[]' if key == '_problems' else 'VARCHAR')}) as {key}"
        for key, value in columns.items()
    )
    con.execute(f"create or replace temp view made as select {made} from people {where}")
    lake.replace(con, table, "made", tenants=None, known_at=AS_OF)


if __name__ == "__main__":
    main()
