"""Whose a row is: for every table the condition under which it is about somebody to be forgotten.

The conditions hold in DuckDB and in PostgreSQL. They are about a row called `t` and a relation `forgotten` (tenant_id,
service, table_name, record_id): the person's records, and as CustomerProfile of the CRM their profile ids. How a record
comes to be in it, by its id or by the hash of it, is decided elsewhere.
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
    profile_events,
    profile_ids,
    record_keys,
)
from crm_pipeline.tables.outputs.operations import quarantined_records, worked_inputs
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.tables.ownership import PROFILE_REFERENCE
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service

_, _FIELD_SOURCES = GOLDEN_RECORD_FILE.read_text(encoding="utf-8").split("to_json({")
FIELDS_WITH_SOURCE: Final = tuple(re.findall(r"(\w+): ", _FIELD_SOURCES.partition("})")[0]))
"""What a profile's field_sources name a record for, as the query says that writes them."""


class RecordReference(NamedTuple):
    """Where a row names a record: SQL of its service, its table and its id."""

    service: str
    table: str
    record_id: str


def list_record_references(table: Table) -> Iterator[RecordReference]:
    """Every place in which a source row names somebody: its own id, what it references, what a decision is about."""
    if table in PERSON_TABLES.values() or table is crm.suppressed_identifier:
        own = "coalesce(cast(t.id as varchar), t._record_key)"
        yield RecordReference(f"'{find_table_service(table)}'", f"'{table.name}'", own)
    for column in table.columns:
        if target := column.info.get("references"):
            service = Service.CRM if target == PROFILE_REFERENCE else find_table_service(source_metadata.tables[target])
            yield RecordReference(f"'{service}'", f"'{target}'", f"cast(t.{column.key} as varchar)")
    if table is crm.identity_override:
        for side in "ab":
            yield RecordReference(
                f"t.service_{side}", _build_people_table_sql(f"t.service_{side}"), f"t.record_id_{side}"
            )


def build_source_condition(table: Table) -> str:
    """The condition for a source table; `false` where nothing in it is anybody's."""
    return " or ".join(_build_forgotten_condition(mention) for mention in list_record_references(table)) or "false"


def _build_people_table_sql(service: str) -> str:
    names = " ".join(f"when '{s}' then '{t.name}'" for s, t in PERSON_TABLES.items())
    return f"case {service} {names} end"


def _build_forgotten_condition(mention: RecordReference) -> str:
    return f"""exists (select 1 from forgotten f where f.tenant_id = t.tenant_id and f.service = {mention.service}
        and f.table_name = {mention.table} and f.record_id = {mention.record_id})"""


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
# A question about a value that many share lists some of the records that do.
_WITNESS_LIST_CONDITION: Final = f"""exists (select 1 from forgotten f where {_PERSON_RECORD_CONDITION} and strpos(
    replace(cast(t.witness as varchar), ' ', ''),
    concat('"service":"', f.service, '","record_id":"', replace(f.record_id, ' ', ''), '"')) > 0)"""
# Asked field by field, since of very many forgotten each would be looked for in every profile.
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
            _build_record_condition(f"(t.settled_by ->> 'service{side}')", f"(t.settled_by ->> 'recordId{side}')")
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
    record_keys: _build_record_condition("t.service", "t.service_record_id"),
    quarantined_records: _build_forgotten_condition(
        RecordReference("t.service", "t.table_name", "t.service_record_id")
    ),
    # What was computed from rows that go is computed anew.
    worked_inputs: "t.tenant_id in (select tenant_id from forgotten)",
}
"""The condition for each table of ours that speaks of people; the others hold counts, times and parameters."""


def build_subject_condition(table: Table) -> str:
    """The condition for any table of the lake."""
    return build_source_condition(table) if table.metadata is source_metadata else OUTPUT_CONDITIONS.get(table, "false")
