"""Point-in-time facts: what would have been known of every profile on an earlier day, by the queries of today.

Events, payments and memberships are put back to that day. Who is who is taken as it is known today.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from duckdb import DuckDBPyConnection

from crm_pipeline.domain.as_of import define_as_of
from crm_pipeline.domain.profile_facts.facts import create_golden_record, find_facts

PAST_MEMBERSHIPS_SQL: Final = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
# What was planned is taken as planned then, whatever became of it: a booking that was made and not yet seen cancelled.
CREATE_PAST_RELATIONS: Final = f"""
    create or replace temp table later_outcomes as
    select tenant_id, service_record_id, event_type, occurred_at as outcome_at from current_timeline
    where occurred_at > as_of()
        and event_type in ('ROUND_PLAYED', 'BOOKING_NO_SHOW', 'BOOKING_CANCELLED', 'COMPETITION_PLAYED');
    create or replace temp view customer_timeline as
    select e.* replace (
            case when o.event_type = 'COMPETITION_PLAYED' then 'COMPETITION' when o.event_type is not null then 'BOOKED'
                else counts_as end as counts_as,
            case when o.event_type <> 'COMPETITION_PLAYED' then 'BOOKED' else visit_kind end as visit_kind,
            case when o.event_type in ('ROUND_PLAYED', 'BOOKING_NO_SHOW') then outcome_at else visit_at end as visit_at)
    from current_timeline e
    left join later_outcomes o on o.tenant_id = e.tenant_id and o.service_record_id = e.service_record_id
        and e.event_type = case o.event_type when 'COMPETITION_PLAYED' then 'COMPETITION_ENTERED'
            else 'BOOKING_MADE' end
    where e.occurred_at <= as_of();
    create or replace temp view scl_payment as
    select * replace (case when paid_at > as_of() then 'PENDING' else status end as status) from current_payments;
    create or replace temp table golden_record as {PAST_MEMBERSHIPS_SQL}"""


def find_current_facts(con: DuckDBPyConnection, as_of: datetime) -> None:
    """Creates temp table `facts_0`, the facts as of now, and what `find_past_facts` looks back from.

    Reads: what `build_profiles` reads, with the timeline as current_timeline and SCL's payments as current_payments.
    Creates: facts_0, current_golden_record; customer_timeline and scl_payment as views; what `find_facts` creates.
    """
    define_as_of(con, as_of)
    con.execute("create or replace temp view customer_timeline as from current_timeline")
    con.execute("create or replace temp view scl_payment as from current_payments")
    create_golden_record(con)
    con.execute("create or replace temp table current_golden_record as from golden_record")
    _create_facts_table(con, 0)


def find_past_facts(con: DuckDBPyConnection, as_of: datetime, days: int) -> None:
    """Creates temp table `facts_<days>`: the facts of that many days before, and what became of the profiles since.

    Column `has_left` says of whoever had no contract then that there was neither a visit nor a new contract since,
    `has_lapsed` that there is no contract now.
    Reads: what `find_current_facts`, which runs first, reads and creates.
    """
    define_as_of(con, as_of - timedelta(days=days))
    con.execute(CREATE_PAST_RELATIONS)
    _create_facts_table(con, days)


def _create_facts_table(con: DuckDBPyConnection, days: int) -> None:
    find_facts(con)
    now = "facts" if not days else "facts_0"
    con.execute(f"""
        create or replace temp table facts_{days} as
        select f.*, not (coalesce(now.last_visit_at > as_of(), false) or now.has_contract
                or (coalesce(now.had_contract, false) and not coalesce(f.had_contract, false))) as has_left,
            not now.has_contract as has_lapsed
        from facts f join {now} now using (tenant_id, id)""")
