"""The person records of all services in one shape, with normalised keys, and the normalised suppressed values."""

from pathlib import Path

import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.contact_keys.email_and_name import normalise_emails, normalise_names
from crm_pipeline.domain.contact_keys.phone import normalise_phones
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.vocabulary import QuarantineReason

_PEOPLE_SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
_TABLE_NAME_CASES = " ".join(f"when '{service}' then '{table.name}'" for service, table in PERSON_TABLES.items())
INVALID_KEYS_SQL = " union all ".join(
    f"""select tenant_id, service, case service {_TABLE_NAME_CASES} end
        as table_name, record_id as service_record_id, record_id as _subject, '{column}' as column_name,
        '{reason}' as reason, 'customer_identities' as found_by
    from people where {entered} is not null and {key} is null"""
    for column, entered, key, reason in (
        ("email", "entered_email", "email", QuarantineReason.INVALID_EMAIL),
        ("phoneNumber", "entered_phone", "phone_number", QuarantineReason.INVALID_PHONE),
    )
)
"""A query of the entered emails and phones that have no normal form, as quarantine rows; their records stay."""


def normalise_people(con: DuckDBPyConnection) -> None:
    """Creates temp table `people`: the valid rows of the four person tables, with normalised keys.

    Columns: tenant_id, service, record_id, auth_user_id, email and phone_number (normalised or null), entered_email,
    entered_phone, first_name, last_name, comparable_first_name, comparable_last_name, created_at, updated_at,
    is_active, service_order and record_order (the order of records: numbers by value, then texts).

    Reads: scl_member, teetime_player, messaging_contact, crm_lead (valid rows), tenants (tenant_id, country_code).
    Creates: people.
    """
    entered = con.sql(f"""
        select people.*, country_code
        from ({_PEOPLE_SQL}) people join tenants using (tenant_id)""").to_arrow_table()
    normalised = {
        "email": normalise_emails(entered["entered_email"]),
        "phone_number": normalise_phones(entered["entered_phone"], entered["country_code"]),
        "comparable_first_name": normalise_names(entered["first_name"]),
        "comparable_last_name": normalise_names(entered["last_name"]),
    }
    normalised_rows = pa.table({**dict(zip(entered.column_names, entered.columns, strict=True)), **normalised})
    orders = " ".join(f"when '{service}' then {order}" for order, service in enumerate(PERSON_TABLES))
    con.register("normalised_people", normalised_rows)
    con.execute(f"""
        create or replace temp table people as
        select * exclude (country_code), case service {orders} end as service_order,
            case when regexp_full_match(record_id, '\\d+')
                 then lpad(record_id, cast(greatest(40, length(record_id)) as integer), '0') || ' ' || record_id
                 else '~' || record_id end as record_order
        from normalised_people""")
    con.unregister("normalised_people")


def normalise_suppressed_values(con: DuckDBPyConnection) -> None:
    """Creates temp table `suppressed` (tenant_id, kind, value): the suppressed identifiers, normalised.

    Reads: crm_suppressed_identifier, tenants (tenant_id, country_code).
    Creates: suppressed.
    """
    rows = con.sql("""
        select tenant_id, kind, value, country_code from crm_suppressed_identifier join tenants using (tenant_id)
        """).to_arrow_table()
    con.register(
        "suppressed_identifiers",
        rows.append_column("email", normalise_emails(rows["value"])).append_column(
            "phone_number", normalise_phones(rows["value"], rows["country_code"])
        ),
    )
    con.execute("""
        create or replace temp table suppressed as
        select distinct tenant_id, kind, case kind when 'EMAIL' then email else phone_number end as value
        from suppressed_identifiers where case kind when 'EMAIL' then email else phone_number end is not null""")
    con.unregister("suppressed_identifiers")
