"""Odd clubs: those with ids that look like paths or SQL, which are served, and those with settings that cannot be."""

from crm_pipeline.tables.sources import crm
from crm_pipeline_tests.bad_input.cases import Case

IDS = (
    "../x",
    "..",
    "/etc/passwd",
    "C:\\x",
    "'; drop schema crm cascade; --",
    '"; drop schema crm cascade; --',
    "links' or '1'='1",
    "%s {0} $1 :x",
    "$(reboot)",
    "tenant_id=links",
    "a,b",
    "[links]",
    "*",
    "null",
    "default",
    "1",
    "2024-01-01",
    "Links",
    "links ",
    " ",
    "⛳🏌🏽\u200d♀️",
    "שלום כהן",
    "\u202exsknil",
    "x" * 200,
)
"""Ids a club may have, and has as its name too."""
SERVED = [Case(club, crm.tenant, {"id": club, "name": club}) for club in IDS]
REFUSED = [
    Case("range", crm.tenant, {"id": "a...b"}, faults=("id:INVALID_SETTING",)),
    Case("lines", crm.tenant, {"id": "a\nb"}, faults=("id:INVALID_SETTING",)),
    Case("NUL", crm.tenant, {"id": "a\0b"}, {"id": "a\ufffdb"}, faults=("id:NUL_BYTE",)),
    Case("endless", crm.tenant, {"id": "x" * 201}, faults=("id:TOO_LONG",)),
    Case("nameless", crm.tenant, {"name": None}, faults=("name:MISSING_VALUE",)),
    Case("NUL in the name", crm.tenant, {"name": "The\0Links"}, faults=("name:NUL_BYTE",)),
    Case("10 MB name", crm.tenant, {"name": "x" * 10_000_000}, faults=("name:TOO_LONG",)),
    Case("Mars", crm.tenant, {"timezone": "Mars/Phobos"}, faults=("timezone:INVALID_SETTING",)),
    Case("path for a time zone", crm.tenant, {"timezone": "../../etc/localtime"}, faults=("timezone:INVALID_SETTING",)),
    Case(
        "injection for a time zone",
        crm.tenant,
        {"timezone": "UTC'; drop table x; --"},
        faults=("timezone:INVALID_SETTING",),
    ),
    Case("country", crm.tenant, {"countryCode": "ZZ"}, faults=("countryCode:INVALID_SETTING",)),
    Case("currency", crm.tenant, {"currency": "£££"}, faults=("currency:INVALID_SETTING",)),
    Case("status", crm.tenant, {"status": "OPEN"}, faults=("status:UNKNOWN_VALUE",)),
    Case("confidence of NaN", crm.tenant, {"minConfidence": "NaN"}, faults=("minConfidence:NOT_A_NUMBER",)),
    Case("confidence of infinity", crm.tenant, {"minConfidence": "1e999"}, faults=("minConfidence:INVALID_SETTING",)),
    Case(
        "confidence of negative zero", crm.tenant, {"minConfidence": "-0.0"}, faults=("minConfidence:INVALID_SETTING",)
    ),
    Case("confidence over 1", crm.tenant, {"minConfidence": "1.0000001"}, faults=("minConfidence:INVALID_SETTING",)),
]
