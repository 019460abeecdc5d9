"""Owners of rows: for every table the condition under which a row is about a person to be forgotten.

The conditions hold in DuckDB and in PostgreSQL. They read a row called `t` and a relation `forgotten` (tenant_id,
service, table_name, record_id): the person's records, by id or by its hash, and as CustomerProfile of the CRM their
profile ids.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlalchemy import Table

from crm_pipeline.domain.profile_facts.facts import GOLDEN_RECORD_FILE
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.columns import find_table_service, source_metadata
from crm_pipeline.tables.outputs.identity import (
    customer_identities,
    identity_reviews,
    person_records,
    profile_events,
    profile_ids,
    withheld_consents,
)
from crm_pipeline.tables.outputs.operations import quarantined_records, worked_inputs
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.tables.ownership import PROFILE_REFERENCE
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service

_, _FIELD_SOURCES = GOLDEN_RECORD_FILE.read_text(encoding="utf-8").split("to_json({")
FIELDS_WITH_SOURCE: Final = tuple(re.findall(r"(\w+): ", _FIELD_SOURCES.partition("})")[0]))
"""The fields for which a profile's field_sources name a record, read from the query that writes them."""


class RecordReference(NamedTuple):
    """Where a row names a record: SQL of its service, its table and its id, and the column of the id if it is one."""

    service: str
    table: str
    record_id: str
    column: str | None = None


def list_record_references(table: Table) -> Iterator[RecordReference]:
    """Yields every place in which a source row names a person.

    That is its own id, what it references, and the two records an identity override is about.
    """
    if table in PERSON_TABLES.values() or table is crm.suppressed_identifier:
        own = "coalesce(cast(t.id as varchar), t._record_key)"
        yield RecordReference(f"'{find_table_service(table)}'", f"'{table.name}'", own, "id")
    for column in table.columns:
        if target := column.info.get("references"):
            service = Service.CRM if target == PROFILE_REFERENCE else find_table_service(source_metadata.tables[target])
            yield RecordReference(f"'{service}'", f"'{target}'", f"cast(t.{column.key} as varchar)", column.key)
    if table is crm.identity_override:
        for side in "ab":
            service_sql, id_column = f"t.service_{side}", f"record_id_{side}"
            yield RecordReference(service_sql, _build_people_table_sql(service_sql), f"t.{id_column}", id_column)


def build_source_condition(table: Table) -> str:
    """Returns the condition for a source table; `false` where none of its rows is about a person."""
    return " or ".join(_build_forgotten_condition(reference) for reference in list_record_references(table)) or "false"


def _build_people_table_sql(service: str) -> str:
    names = " ".join(f"when '{s}' then '{t.name}'" for s, t in PERSON_TABLES.items())
    return f"case {service} {names} end"


def _build_forgotten_condition(reference: RecordReference) -> str:
    return f"""exists (select 1 from forgotten f where f.tenant_id = t.tenant_id and f.service = {reference.service}
        and f.table_name = {reference.table} and f.record_id = {reference.record_id})"""


def _build_record_condition(service: str, record_id: str) -> str:
    return _build_forgotten_condition(RecordReference(service, _build_people_table_sql(service), record_id))


def _build_profile_condition(profile_id: str) -> str:
    return _build_forgotten_condition(
        RecordReference(f"'{Service.CRM}'", f"'{PROFILE_REFERENCE}'", f"cast({profile_id} as varchar)")
    )


def _join_conditions(*conditions: str) -> str:
    return " or ".join(conditions)


_PEOPLE_TABLES: Final = ", ".join(f"'{table.name}'" for table in PERSON_TABLES.values())
_PERSON_RECORD_CONDITION: Final = f"f.tenant_id = t.tenant_id and f.table_name in ({_PEOPLE_TABLES})"
# A review of a value that many records share lists some of them.
_WITNESS_LIST_CONDITION: Final = f"""exists (select 1 from forgotten f where {_PERSON_RECORD_CONDITION} and strpos(
    replace(cast(t.witness as varchar), ' ', ''),
    concat('"service":"', f.service, '","record_id":"', replace(f.record_id, ' ', ''), '"')) > 0)"""
# Field by field: with many people to forget, each would otherwise be looked for in every profile.
_FIELD_SOURCES_CONDITION: Final = " or ".join(
    f"""(t.tenant_id, t.field_sources ->> '{field}') in (
        select f.tenant_id, concat(f.service, ':', f.record_id) from forgotten f
        where f.table_name in ({_PEOPLE_TABLES}))"""
    for field in FIELDS_WITH_SOURCE
)

OUTPUT_CONDITIONS: Final[dict[Table, str]] = {
    customer_profiles: _join_conditions(_build_profile_condition("t.id"), _FIELD_SOURCES_CONDITION),
    customer_timeline: _join_conditions(
        _build_profile_condition("t.profile_id"),
        _build_forgotten_condition(
            RecordReference("t.source", "split_part(t.event_id, ':', 2)", "t.service_record_id")
        ),
        _build_profile_condition("t.details ->> 'referred_profile_id'"),
    ),
    customer_identities: _join_conditions(
        _build_profile_condition("t.profile_id"),
        _build_record_condition("t.service", "t.service_record_id"),
        _build_record_condition("t.linked_to_service", "t.linked_to_record_id"),
    ),
    identity_reviews: _join_conditions(
        *(_build_record_condition(f"t.service_{side}", f"t.record_id_{side}") for side in "ab"),
        *(
            _build_record_condition(f"(t.witness ->> 'service_{side}')", f"(t.witness ->> 'record_id_{side}')")
            for side in "ab"
        ),
        *(
            _build_record_condition(f"({row} ->> 'service{side}')", f"({row} ->> 'recordId{side}')")
            # The rows of a list are about the same two records.
            for row in ("t.settled_by", "(t.settled_by -> 0)")
            for side in "AB"
        ),
        _WITNESS_LIST_CONDITION,
    ),
    profile_events: _join_conditions(
        _build_profile_condition("t.profile_id"), _build_profile_condition("t.other_profile_id")
    ),
    profile_ids: _join_conditions(
        _build_profile_condition("t.profile_id"),
        _build_profile_condition("t.redirects_to"),
        _build_record_condition("t.minted_service", "t.minted_record_id"),
        _build_record_condition("t.anchor_service", "t.anchor_record_id"),
    ),
    person_records: _build_record_condition("t.service", "t.service_record_id"),
    withheld_consents: _join_conditions(
        _build_record_condition(f"'{Service.MESSAGING}'", "t.contact_id"), _build_profile_condition("t.profile_id")
    ),
    quarantined_records: _build_forgotten_condition(
        RecordReference("t.service", "t.table_name", "t.service_record_id")
    ),
    # Results computed from erased rows have to be rebuilt.
    worked_inputs: "t.tenant_id in (select tenant_id from forgotten)",
}
"""The condition for each output table about people; the others hold counts, times and parameters."""


def build_subject_condition(table: Table) -> str:
    """Returns the condition for any table of the lake."""
    return build_source_condition(table) if table.metadata is source_metadata else OUTPUT_CONDITIONS.get(table, "false")
