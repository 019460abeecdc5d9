"""Agreements between the published tables, and between them and the services' own rows.

Each agreement is an SQL query of the rows that break it, written without the code that built the tables.
"""

from typing import Final, NamedTuple

from duckdb import DuckDBPyConnection

from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.columns import MAX_SUM_CENTS
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.vocabulary import Service

CONSENT_FLAGS: Final = ("email_opt_in", "sms_opt_in", "push_opt_in", "whatsapp_opt_in")
PRIMARY_RECORD_COLUMNS: Final = {
    "scl_member_id": Service.SCL,
    "teetime_player_id": Service.TEETIME,
    "messaging_contact_id": Service.MESSAGING,
}
ROW_COUNT_QUERIES: Final = {
    "profiles": "select tenant_id, count(*) as rows from evaluated_profiles group by tenant_id",
    "records": "select tenant_id, count(*) as rows from evaluated_identities group by tenant_id",
    "events": "select tenant_id, sum(events) as rows from evaluated_events group by tenant_id",
    "payments": "select tenant_id, payments as rows from evaluated_payments",
}


class Agreement(NamedTuple):
    """A rule between tables: the kind of rows it covers, and a query of tenant_id, n broken rows and `found`."""

    row_kind: str
    violations_query: str
    meaning: str


AGREEMENTS: Final = {
    "event_has_a_profile": Agreement(
        "events",
        """select tenant_id, events as n, null as found from evaluated_events
           anti join (select tenant_id, id as profile_id from evaluated_profiles) using (tenant_id, profile_id)""",
        "Every event of the timeline belongs to a profile there is.",
    ),
    "record_has_a_profile": Agreement(
        "records",
        """select tenant_id, 1 as n, null as found from evaluated_identities
           anti join (select tenant_id, id as profile_id from evaluated_profiles) using (tenant_id, profile_id)""",
        "Every linked record belongs to a profile there is.",
    ),
    "profile_has_a_record": Agreement(
        "profiles",
        """select tenant_id, 1 as n, null as found from evaluated_profiles
           anti join (select tenant_id, profile_id as id from evaluated_identities) using (tenant_id, id)""",
        "Every profile has at least one record of a service.",
    ),
    "record_has_one_profile": Agreement(
        "records",
        """select tenant_id, count(*) as n, null as found from evaluated_identities
           group by tenant_id, service, service_record_id having count(*) > 1""",
        "No record belongs to two profiles.",
    ),
    "every_record_is_linked": Agreement(
        "records",
        """select tenant_id, 1 as n, null as found from valid_people
           full join evaluated_identities using (tenant_id, service, service_record_id)
           where valid_people.record is null or evaluated_identities.profile_id is null""",
        "Every valid record of a person is in customer_identities, and nothing else is.",
    ),
    "one_primary_per_service": Agreement(
        "records",
        """select tenant_id, count(*) as n, null as found from evaluated_identities
           group by tenant_id, profile_id, service having count(*) filter (is_primary) <> 1""",
        "Of a profile's records in one service exactly one is the primary.",
    ),
    "one_anchor_per_profile": Agreement(
        "records",
        """select tenant_id, count(*) as n, null as found from evaluated_identities
           group by tenant_id, profile_id having count(*) filter (rule = 'ANCHOR') <> 1""",
        "Of a profile's records exactly one is the anchor of its id.",
    ),
    "profile_names_its_primaries": Agreement(
        "profiles",
        f"""select tenant_id, 1 as n, null as found from evaluated_profiles left join (
                select tenant_id, profile_id as id, {
            ", ".join(
                f"max(service_record_id) filter (service = '{service}' and is_primary) as {column}_linked"
                for column, service in PRIMARY_RECORD_COLUMNS.items()
            )
        }
                from evaluated_identities group by tenant_id, profile_id) using (tenant_id, id)
            where {
            " or ".join(
                f"cast({column} as varchar) is distinct from {column}_linked" for column in PRIMARY_RECORD_COLUMNS
            )
        }""",
        "A profile's link columns name the primary record of each service.",
    ),
    "consent_is_messagings": Agreement(
        "profiles",
        f"""select tenant_id, 1 as n, null as found from evaluated_profiles left join (
                select i.tenant_id, i.profile_id as id,
                    {
            ", ".join(
                f"count(*) filter (not coalesce({flag}, false)) = 0 as is_{flag}_everywhere" for flag in CONSENT_FLAGS
            )
        }
                from evaluated_identities i join messaging_contact c
                    on i.service = 'MESSAGING' and c.tenant_id = i.tenant_id and c.id = i.service_record_id
                group by i.tenant_id, i.profile_id) using (tenant_id, id)
            left join withheld_profiles using (tenant_id, id)
            where {
            " or ".join(
                f"{flag} is distinct from (coalesce(is_{flag}_everywhere, false) and is_withheld is null)"
                for flag in CONSENT_FLAGS
            )
        }""",
        "An opt-in is true exactly where every Messaging contact of the profile says so, and none of it is set aside.",
    ),
    "lifetime_value_adds_up": Agreement(
        "profiles",
        f"""select tenant_id, 1 as n, null as found from evaluated_profiles
           left join (select tenant_id, profile_id as id, amount_cents from evaluated_events) using (tenant_id, id)
           where lifetime_value is distinct from least(greatest(coalesce(amount_cents, 0), 0), {MAX_SUM_CENTS})""",
        "A profile's lifetime value is the sum of the amounts on its timeline, or 0 where that is less.",
    ),
    "money_equals_scl": Agreement(
        "payments",
        """select tenant_id, 1 as n, printf('timeline %d payments, %.2f in all; SCL %d, %.2f',
               cast(timeline_payments as bigint), timeline_cents / 100.0,
               cast(settled as bigint), settled_cents / 100.0) as found
           from (
               select tenant_id, sum(timeline_payments) as timeline_payments,
                   sum(timeline_cents) as timeline_cents, sum(settled) as settled,
                   sum(settled_cents) as settled_cents
               from (
                   select tenant_id, scl_events as timeline_payments, scl_cents as timeline_cents,
                       0 as settled, 0 as settled_cents
                   from evaluated_events
                   union all
                   select tenant_id, 0, 0, payments, amount_cents from evaluated_payments)
               group by tenant_id)
           where timeline_payments <> settled or timeline_cents <> settled_cents""",
        "Payments and refunds on the timeline equal what SCL settled, in number and in money.",
    ),
}

# Temp tables: each is read several times, and a view of the lake would be computed at every read.
_VALID_PEOPLE_QUERY: Final = " union all ".join(
    f"""select tenant_id, '{service}' as service, cast(id as varchar) as service_record_id, id is not null as record
        from {to_lake_name(table)}"""
    for service, table in PERSON_TABLES.items()
)
PREPARED_RELATIONS: Final = {
    "evaluated_profiles": f"""
        select tenant_id, id, {", ".join((*PRIMARY_RECORD_COLUMNS, *CONSENT_FLAGS))}, lifetime_value, lifecycle_stage
        from compared_profiles""",
    "evaluated_identities": """
        select tenant_id, service, service_record_id, profile_id, is_primary, rule from compared_identities""",
    "evaluated_events": """
        select tenant_id, profile_id, count(*) as events, max(occurred_at) as newest_at,
            coalesce(sum(amount_cents), 0) as amount_cents,
            count(*) filter (source = 'SCL' and event_type in ('PAYMENT', 'REFUND')) as scl_events,
            coalesce(sum(amount_cents) filter (source = 'SCL' and event_type in ('PAYMENT', 'REFUND')), 0) as scl_cents
        from compared_timeline group by tenant_id, profile_id""",
    "evaluated_payments": """
        select tenant_id, count(*) as payments,
            sum(case kind when 'REFUND' then -amount_cents else amount_cents end) as amount_cents
        from scl_payment where status = 'SETTLED' and paid_at <= as_of() + clock_tolerance() group by tenant_id""",
    "valid_people": _VALID_PEOPLE_QUERY,
    "withheld_profiles": """
        select distinct tenant_id, coalesce(redirects_to, profile_id) as id, true as is_withheld
        from withheld_consents join profile_ids using (tenant_id, profile_id)""",
}


def find_disagreements(con: DuckDBPyConnection) -> None:
    """Creates temp table `disagreements`: how many rows break each agreement, per tenant in `evaluated_tenants`.

    Columns: tenant_id, expectation, broken, rows, observed.
    Reads: compared_profiles, compared_identities, compared_timeline (shaped as their tables), the valid rows of the
        person tables and of scl_payment, withheld_consents, profile_ids, as_of().
    Creates: temp tables disagreements and those of `PREPARED_RELATIONS`.
    """
    for name, query in PREPARED_RELATIONS.items():
        con.execute(f"create or replace temp table {name} as {query}")
    disagreements_query = " union all ".join(
        f"""select '{name}' as expectation, t.tenant_id, coalesce(b.broken, 0) as broken, coalesce(l.rows, 0) as rows,
                b.observed
            from evaluated_tenants t
            left join ({ROW_COUNT_QUERIES[agreement.row_kind]}) l on l.tenant_id = t.tenant_id
            left join (
                select tenant_id, sum(n) as broken, max(cast(found as varchar)) as observed
                from ({agreement.violations_query}) group by tenant_id) b on b.tenant_id = t.tenant_id"""
        for name, agreement in AGREEMENTS.items()
    )
    con.execute(f"create or replace temp table disagreements as {disagreements_query}")
