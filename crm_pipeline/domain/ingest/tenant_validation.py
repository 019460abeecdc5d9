"""Which clubs a run can work on: a tenant's own settings decide, and a wrong one stops that tenant alone.

What is wrong with the rows of a tenant's services is judged elsewhere, record by record.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
from duckdb import DuckDBPyConnection
from phonenumbers import SUPPORTED_REGIONS

from crm_pipeline.vocabulary import QuarantineReason, TenantStatus

DEFAULT_MIN_CONFIDENCE = 0.85
CONTROL_CHARACTER_PATTERN = re.compile(r"[\x00-\x1f]")


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
    """Split relation `present` (crm_tenant as the lake keeps it) into usable tenants and the faults of the others.

    CLOSED tenants are in neither: they keep their last tables. Faults are `column:REASON`, per tenant id. Of rows with
    one id the best counts; the others are set aside as duplicates and are no fault of the tenant's.
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
    """Whether Dagster can have it as a partition key: no control characters, no `...`."""
    return "..." not in tenant_id and not CONTROL_CHARACTER_PATTERN.search(tenant_id)


def escape_control_characters(tenant_id: str) -> str:
    """The id in a message: one that ended a line, or was not seen, would look like another club's."""
    return CONTROL_CHARACTER_PATTERN.sub(lambda found: repr(found[0])[1:-1], tenant_id)


def format_unknown_tenants(asked: Iterable[str], known: Iterable[str]) -> str:
    """What somebody is told who names tenants nobody knows."""
    named, others = (", ".join(map(escape_control_characters, sorted(ids))) for ids in (asked, known))
    return f"no such tenant: {named}; known are {others}"


def build_tenants_table(tenants: list[Tenant]) -> pa.Table:
    """Tenants as an Arrow table, one row each, columns as in `Tenant`."""
    kinds = [pa.float64() if field == "min_confidence" else pa.string() for field in Tenant._fields]
    columns = list(zip(*tenants, strict=True)) or [()] * len(Tenant._fields)
    return pa.table([pa.array(values, kind) for values, kind in zip(columns, kinds, strict=True)], names=Tenant._fields)


def build_faulty_settings_query(con: DuckDBPyConnection, faulty: dict[str, list[str]]) -> str:
    """A query of the settings no tenant can have; the faults of the row itself are known from its snapshot."""
    faults = [(tenant, *fault.split(":")) for tenant, found in faulty.items() for fault in found]
    wrong = [fault for fault in faults if fault[2] == QuarantineReason.INVALID_SETTING]
    names = ["tenant_id", "column_name", "reason"]
    con.register(
        "wrong_settings", pa.table([pa.array([f[i] for f in wrong], pa.string()) for i in range(3)], names=names)
    )
    return """
        select *, 'CRM' as service, 'Tenant' as table_name, tenant_id as service_record_id, tenant_id as _subject,
            'tenants' as found_by from wrong_settings"""


@cache
def _has_time_zone(name: str) -> bool:
    """Whether Python has a time zone; to list them all it would read some six hundred files."""
    try:
        ZoneInfo(name)
    except ZoneInfoNotFoundError:
        return False
    return True


def _list_setting_faults(tenant: Tenant, time_zones: set[str]) -> list[str]:
    sound = {
        "id": is_usable_id(tenant.tenant_id),
        "countryCode": tenant.country_code in SUPPORTED_REGIONS,
        "currency": bool(tenant.currency and re.fullmatch("[A-Z]{3}", tenant.currency)),
        "timezone": tenant.timezone in time_zones and _has_time_zone(tenant.timezone),
        "minConfidence": 0 < tenant.min_confidence <= 1,
    }
    return [f"{column}:{QuarantineReason.INVALID_SETTING}" for column, holds in sound.items() if not holds]
