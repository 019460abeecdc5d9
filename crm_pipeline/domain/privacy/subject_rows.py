"""Owners of rows: for every table the condition under which a row is about a person to be forgotten.

The conditions hold in DuckDB and in PostgreSQL. They read a row called `t` and a relation `forgotten` (tenant_id,
service, table_name, record_id): the person's records, by id or by its hash, and as CustomerProfile of the CRM their
profile ids.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import starmap
from typing import Final, NamedTuple

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import UUID

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
    """Where a row names a record: SQL of its service, its table and its id, and the column of the id."""

    service: str
    table: str
    record_id: str
    column: str


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
        if service_column := column.info.get("service_column"):
            service_sql = f"t.{service_column}"
            yield RecordReference(service_sql, build_people_table_sql(service_sql), f"t.{column.key}", column.key)


def build_source_condition(table: Table) -> str:
    """Returns the condition for a source table; `false` where none of its rows is about a person."""
    references = (reference[:3] for reference in list_record_references(table))
    return " or ".join(starmap(_build_forgotten_condition, references)) or "false"


def build_people_table_sql(service: str) -> str:
    """Returns SQL of the name of a service's table of people, from SQL of the service."""
    names = " ".join(f"when '{s}' then '{t.name}'" for s, t in PERSON_TABLES.items())
    return f"case {service} {names} end"


def _build_forgotten_condition(service: str, table: str, record_id: str) -> str:
    return f"""exists (select 1 from forgotten f where f.tenant_id = t.tenant_id and f.service = {service}
        and f.table_name = {table} and f.record_id = {record_id})"""


def _build_record_condition(service: str, record_id: str) -> str:
    return _build_forgotten_condition(service, build_people_table_sql(service), record_id)


def _build_profile_condition(profile_id: str) -> str:
    return _build_forgotten_condition(f"'{Service.CRM}'", f"'{PROFILE_REFERENCE}'", f"cast({profile_id} as varchar)")


def _build_output_condition(table: Table, *records: tuple[str, str], others: Sequence[str] = ()) -> str:
    """Returns the condition on the profile ids in a table, on its `records` (SQL of service and id), and `others`."""
    profile_ids_sql = (f"t.{column.name}" for column in table.columns if isinstance(column.type, UUID))
    own = [*map(_build_profile_condition, profile_ids_sql), *starmap(_build_record_condition, records)]
    return " or ".join([*own, *others])


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
    customer_profiles: _build_output_condition(customer_profiles, others=[_FIELD_SOURCES_CONDITION]),
    customer_timeline: _build_output_condition(
        customer_timeline,
        others=[
            _build_forgotten_condition("t.source", "split_part(t.event_id, ':', 2)", "t.service_record_id"),
            _build_profile_condition("t.details ->> 'referred_profile_id'"),
        ],
    ),
    customer_identities: _build_output_condition(
        customer_identities, ("t.service", "t.service_record_id"), ("t.linked_to_service", "t.linked_to_record_id")
    ),
    identity_reviews: _build_output_condition(
        identity_reviews,
        *((f"t.service_{side}", f"t.record_id_{side}") for side in "ab"),
        *((f"(t.witness ->> 'service_{side}')", f"(t.witness ->> 'record_id_{side}')") for side in "ab"),
        *(
            (f"({row} ->> 'service{side}')", f"({row} ->> 'recordId{side}')")
            # The rows of a list are about the same two records.
            for row in ("t.settled_by", "(t.settled_by -> 0)")
            for side in "AB"
        ),
        others=[_WITNESS_LIST_CONDITION],
    ),
    profile_events: _build_output_condition(profile_events),
    profile_ids: _build_output_condition(
        profile_ids, ("t.minted_service", "t.minted_record_id"), ("t.anchor_service", "t.anchor_record_id")
    ),
    person_records: _build_output_condition(person_records, ("t.service", "t.service_record_id")),
    withheld_consents: _build_output_condition(withheld_consents, (f"'{Service.MESSAGING}'", "t.contact_id")),
    quarantined_records: _build_forgotten_condition("t.service", "t.table_name", "t.service_record_id"),
    # Results computed from erased rows have to be rebuilt.
    worked_inputs: "t.tenant_id in (select tenant_id from forgotten)",
}
"""The condition for each output table about people; the others hold counts, times and parameters."""


def build_subject_condition(table: Table) -> str:
    """Returns the condition for any table of the lake."""
    return build_source_condition(table) if table.metadata is source_metadata else OUTPUT_CONDITIONS.get(table, "false")
