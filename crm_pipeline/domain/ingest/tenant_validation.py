"""Validation of tenants: a tenant's own settings decide whether it can be processed; a wrong one stops it alone."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
from duckdb import DuckDBPyConnection
from phonenumbers import SUPPORTED_REGIONS

from crm_pipeline.vocabulary import QuarantineReason, TenantStatus

DEFAULT_MIN_CONFIDENCE = 0.85
INVISIBLE_CATEGORIES = ("Cc", "Cf", "Zl", "Zp")
"""Unicode categories of characters that show as nothing or end a line."""


class Tenant(NamedTuple):
    """A club as the CRM describes it."""

    tenant_id: str
    name: str
    country_code: str
    currency: str
    timezone: str
    status: str
    min_confidence: float


def find_usable_tenants(con: DuckDBPyConnection, present: str) -> tuple[list[Tenant], dict[str, list[str]]]:
    """Returns the usable tenants of relation `present` (crm_tenant as the lake stores it) and the faults of the others.

    CLOSED tenants are in neither: their last tables stay. Faults are `column:REASON`, per tenant id. Of rows with one
    id the best counts; the others are quarantined as duplicates and are no fault of the tenant's.
    """
    rows = con.execute(f"""
        select tenant_id, name, country_code, currency, timezone, status,
            coalesce(min_confidence, {DEFAULT_MIN_CONFIDENCE}) as min_confidence, _problems
        from {present} where tenant_id <> '' and _record_key = tenant_id order by tenant_id""").fetchall()
    usable: list[Tenant] = []
    faulty: dict[str, list[str]] = {}
    time_zones = {row[0] for row in con.execute("select name from pg_timezone_names()").fetchall()}
    for *values, problems in rows:
        tenant = Tenant(*values)
        if faults := problems or _list_setting_faults(tenant, time_zones):
            faulty[tenant.tenant_id] = faults
        elif tenant.status != TenantStatus.CLOSED:
            usable.append(tenant)
    return usable, faulty


def is_usable_id(tenant_id: str) -> bool:
    """Whether the id shows all its characters and Dagster accepts it as a partition key, which has no `...`.

    Tenants are compared as delivered, so an id with outer blanks would be another club with the same name.
    """
    is_visible = tenant_id == tenant_id.strip() and tenant_id == escape_invisible_characters(tenant_id)
    return is_visible and "..." not in tenant_id


def escape_invisible_characters(tenant_id: str) -> str:
    """Returns the id as shown in a message, with invisible characters escaped.

    An id that ends a line or is partly invisible would look like another club's.
    """
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in INVISIBLE_CATEGORIES else c for c in tenant_id
    )


def format_unknown_tenants(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Returns the message for somebody who named unknown tenants."""
    unknown_ids, known_ids = (", ".join(map(escape_invisible_characters, sorted(ids))) for ids in (unknown, known))
    return f"no such tenant: {unknown_ids}; known are {known_ids}"


def build_tenants_table(tenants: list[Tenant]) -> pa.Table:
    """Returns the tenants as an Arrow table, one row each, columns as in `Tenant`."""
    kinds = [pa.float64() if field == "min_confidence" else pa.string() for field in Tenant._fields]
    columns = list(zip(*tenants, strict=True)) or [()] * len(Tenant._fields)
    return pa.table([pa.array(values, kind) for values, kind in zip(columns, kinds, strict=True)], names=Tenant._fields)


def build_faulty_settings_query(con: DuckDBPyConnection, faulty: dict[str, list[str]]) -> str:
    """Returns a query of the invalid settings; the faults of the row itself are known from its snapshot.

    Creates: faulty_settings.
    """
    rows = [(tenant, *fault.split(":")) for tenant, faults in faulty.items() for fault in faults]
    invalid = [row for row in rows if row[2] == QuarantineReason.INVALID_SETTING]
    names = ["tenant_id", "column_name", "reason"]
    columns = [pa.array([row[index] for row in invalid], pa.string()) for index in range(len(names))]
    con.register("faulty_settings", pa.table(columns, names=names))
    return """
        select *, 'CRM' as service, 'Tenant' as table_name, tenant_id as service_record_id, tenant_id as _subject,
            'tenants' as found_by from faulty_settings"""


@cache
def _has_time_zone(name: str) -> bool:
    """Whether Python has a time zone; listing them all would read some six hundred files."""
    try:
        ZoneInfo(name)
    except ZoneInfoNotFoundError:
        return False
    return True


def _list_setting_faults(tenant: Tenant, time_zones: set[str]) -> list[str]:
    is_valid = {
        "id": is_usable_id(tenant.tenant_id),
        "countryCode": tenant.country_code in SUPPORTED_REGIONS,
        "currency": bool(tenant.currency and re.fullmatch("[A-Z]{3}", tenant.currency)),
        "timezone": tenant.timezone in time_zones and _has_time_zone(tenant.timezone),
        "minConfidence": 0 < tenant.min_confidence <= 1,
    }
    return [f"{column}:{QuarantineReason.INVALID_SETTING}" for column, holds in is_valid.items() if not holds]
