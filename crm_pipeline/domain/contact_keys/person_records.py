"""The person records of all services in one shape, with normalised keys, and the normalised suppressed values."""

import hashlib
from functools import cache
from pathlib import Path

import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.contact_keys.email_and_name import NORMALISATION_VERSION, normalise_emails, normalise_names
from crm_pipeline.domain.contact_keys.phone import normalise_phones
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.vocabulary import QuarantineReason

_ENTERED_RECORDS_SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
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
WILDCARDS = "[*?%]"
"""Signs that an address may hold, but that mean a pattern where somebody enters one to be suppressed."""


@cache
def compute_normaliser_hash() -> str:
    """Returns 16 hex digits of a hash of what normal forms depend on: this folder's code, and data of libraries."""
    code = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.iterdir()) if path.is_file())
    return hashlib.sha256(code + NORMALISATION_VERSION.encode()).hexdigest()[:16]


def select_entered_records(con: DuckDBPyConnection) -> None:
    """Creates temp view `entered_records`: the valid rows of the four person tables in one shape, as entered.

    Columns: those of person_records without normalised keys, and country_code. Rows with an equal input_hash have equal
    normalised keys.

    Reads: scl_member, teetime_player, messaging_contact, crm_lead (valid rows), tenants (tenant_id, country_code).
    """
    con.execute(f"""
        create or replace temp view entered_records as
        select records.* exclude (_row_hash), country_code,
            cast(hash(_row_hash, country_code, '{compute_normaliser_hash()}') // 2 as bigint) as input_hash
        from ({_ENTERED_RECORDS_SQL}) records join tenants using (tenant_id)""")


def normalise_records(con: DuckDBPyConnection, entered: str, name: str) -> None:
    """Creates temp table `name`, shaped like person_records: the rows of relation `entered` with normalised keys."""
    rows = con.sql(f"from {entered}").to_arrow_table()
    normalised = {
        "email": normalise_emails(rows["entered_email"]),
        "phone_number": normalise_phones(rows["entered_phone"], rows["country_code"]),
        "comparable_first_name": normalise_names(rows["first_name"]),
        "comparable_last_name": normalise_names(rows["last_name"]),
    }
    con.register("normalised_rows", pa.table({**dict(zip(rows.column_names, rows.columns, strict=True)), **normalised}))
    con.execute(f"create or replace temp table {name} as select * exclude (country_code) from normalised_rows")
    con.unregister("normalised_rows")


def create_people(con: DuckDBPyConnection, records: str) -> None:
    """Creates temp table `people` from a relation shaped like person_records, as they are at the run's hour.

    Columns: tenant_id, service, record_id, auth_user_id, email and phone_number (normalised or null), entered_email,
    entered_phone, first_name, last_name, comparable_first_name, comparable_last_name, created_at, updated_at,
    is_active, service_order and record_order (the order of records: numbers by value, then texts).
    """
    orders = " ".join(f"when '{service}' then {order}" for order, service in enumerate(PERSON_TABLES))
    con.execute(f"""
        create or replace temp table people as
        select tenant_id, service, service_record_id as record_id, auth_user_id, email, phone_number, entered_email,
            entered_phone, first_name, last_name, comparable_first_name, comparable_last_name, created_at, updated_at,
            coalesce(active_from <= as_of() and coalesce(active_until > as_of(), true), false) as is_active,
            case service {orders} end as service_order,
            case when regexp_full_match(record_id, '\\d+')
                 then lpad(record_id, cast(greatest(40, length(record_id)) as integer), '0') || ' ' || record_id
                 else '~' || record_id end as record_order
        from {records}""")


def normalise_people(con: DuckDBPyConnection) -> None:
    """Creates temp table `people`, see `create_people`, normalised anew from the valid rows of the person tables.

    Reads: what `select_entered_records` reads.
    """
    select_entered_records(con)
    normalise_records(con, "entered_records", "normalised_records")
    create_people(con, "normalised_records")


def normalise_suppressed_values(con: DuckDBPyConnection) -> None:
    """Creates temp tables `suppressed` (tenant_id, kind, value) and `suppressed_identifiers`, the rows it is made of.

    The latter's columns: tenant_id, id, kind, value (normalised, null where it is no value of its kind or a pattern),
    entered, email and phone_number (what was entered, read as either), and _problems, which are in valid rows empty.

    Reads: crm_suppressed_identifier_validated, tenants (tenant_id, country_code).
    Creates: suppressed, suppressed_identifiers.
    """
    rows = con.sql("""
        select tenant_id, id, kind, value as entered, _problems, country_code
        from crm_suppressed_identifier_validated join tenants using (tenant_id)""").to_arrow_table()
    con.register(
        "read_identifiers",
        rows.append_column("email", normalise_emails(rows["entered"])).append_column(
            "phone_number", normalise_phones(rows["entered"], rows["country_code"])
        ),
    )
    con.execute(f"""
        create or replace temp table suppressed_identifiers as
        select tenant_id, id, kind, entered, email, phone_number, _problems, case kind
            when 'EMAIL' then if(regexp_matches(email, '{WILDCARDS}'), null, email)
            when 'PHONE' then if(contains(entered, '*'), null, phone_number) end as value
        from read_identifiers""")
    con.execute("""
        create or replace temp table suppressed as
        select distinct tenant_id, kind, value from suppressed_identifiers
        where len(_problems) = 0 and value is not null""")
    con.unregister("read_identifiers")
