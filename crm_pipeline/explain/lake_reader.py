"""What only the lake has of a tenant: its settings, the services' person records, the operators' decisions.

A tenant that is closed, or whose own row is invalid, still has its published tables, so it can be explained as well.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from duckdb import DuckDBPyConnection

from crm_pipeline.domain.contact_keys.person_records import normalise_people
from crm_pipeline.domain.ingest.tenant_validation import DEFAULT_MIN_CONFIDENCE
from crm_pipeline.domain.ingest.value_parsing import read_value
from crm_pipeline.domain.profile_facts.facts import ENDED_CONTRACTS_FILE, create_temp_table
from crm_pipeline.explain.formatting import Row
from crm_pipeline.explain.warehouse_reader import RecordKey
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import crm, scl
from crm_pipeline.vocabulary import Service

TENANT_SQL = """
    create or replace temp table tenants as
    select tenant_id, coalesce(name, tenant_id) as name, country_code, currency,
        case when timezone in (select name from pg_timezone_names()) then timezone else 'UTC' end as timezone,
        coalesce(min_confidence, $min_confidence) as min_confidence
    from present_tenants where tenant_id = $tenant_id and _record_key = tenant_id"""
SELECTED_RECORDS = "(select unnest($services), unnest($ids))"
DECISIONS_SQL = f"""
    select * from crm_identity_override
    where (service_a, record_id_a) in {SELECTED_RECORDS} or (service_b, record_id_b) in {SELECTED_RECORDS}
    order by id"""
SHARED_VALUES_SQL = f"""
    with all_values as (
        unpivot (select service, record_id, email, phone_number, auth_user_id from people)
        on email, phone_number, auth_user_id into name kind value value)
    select kind, value, service, record_id from all_values
    semi join (from all_values where (service, record_id) in {SELECTED_RECORDS}) using (kind, value)"""


class TenantSettings(NamedTuple):
    """The tenant settings that explanations use."""

    name: str
    country_code: str | None
    timezone: str
    min_confidence: float


@dataclass(frozen=True)
class PersonRecords:
    """The person records of one tenant in DuckDB, with match keys normalised as in a run."""

    con: DuckDBPyConnection
    tenant: TenantSettings

    @classmethod
    def load(cls, con: DuckDBPyConnection, lake: Lake, tenant_id: str, as_of: datetime) -> "PersonRecords":
        """Returns the tenant's person records as of the published time.

        Reads: the lake's Tenant, IdentityOverride, person tables and withheld_consents.
        Creates: `tenants`, `known_tenants`, `people`, `ended_contracts` and the views of the loaded tables.
        """
        run = RunContext(con, lake, as_of, "explain", [tenant_id])
        lake.create_current_view(con, crm.tenant, name="present_tenants")
        con.execute(TENANT_SQL, {"tenant_id": tenant_id, "min_confidence": DEFAULT_MIN_CONFIDENCE})
        con.execute("create or replace temp view known_tenants as select tenant_id from present_tenants")
        run.load_rows([*PERSON_TABLES.values(), crm.identity_override])
        lake.create_current_view(con, identity.withheld_consents, tenants=[tenant_id])
        run.define_as_of()
        lake.create_log_view(con, scl.member)
        create_temp_table(con, ENDED_CONTRACTS_FILE)
        normalise_people(con)
        stored = con.sql("select name, country_code, timezone, min_confidence from tenants").fetchall()
        [settings] = stored or [(tenant_id, None, "UTC", DEFAULT_MIN_CONFIDENCE)]
        return cls(con, TenantSettings(*settings))

    def read_value(self, column: str, text: str, service: Service = Service.SCL) -> str | None:
        """Returns what a person typed for a column of the service's people, as an extraction reads it."""
        return read_value(self.con, PERSON_TABLES[service].c[column], text)

    def records_with_value(self, column: str, value: str) -> list[RecordKey]:
        """Returns the records that have this normalised value."""
        rows = self._rows(f"select service, record_id from people where {column} = $value order by all", value=value)
        return [RecordKey(**row) for row in rows]

    def comparison_rows(self, records: Collection[RecordKey]) -> dict[RecordKey, Row]:
        """Returns the rows of `people` for these records, as identity resolution compares them."""
        query = f"select * from people where (service, record_id) in {SELECTED_RECORDS}"
        rows = self._rows(query, **_build_parameters(records))
        return {RecordKey(row["service"], row["record_id"]): row for row in rows}

    def service_rows(self, records: Collection[RecordKey]) -> dict[RecordKey, Row]:
        """Returns these records with every column their service has."""
        rows_by_record: dict[RecordKey, Row] = {}
        for service, table in PERSON_TABLES.items():
            columns = ", ".join(column.key for column in table.columns)
            ids = [record.record_id for record in records if record.service == service]
            rows = self._rows(
                f"select {columns} from present_{to_lake_name(table)} where _record_key in (select unnest($ids))",
                ids=ids,
            )
            rows_by_record |= {RecordKey(service.value, str(row["id"])): row for row in rows}
        return rows_by_record

    def first_ended_at(self, member_id: int) -> datetime | None:
        """Returns when a contract that ended at no known time was first seen ended; None of any other."""
        query = "select first_ended_at from ended_contracts where scl_member_id = $member_id"
        rows = self.con.sql(query, params={"member_id": member_id}).fetchall()
        return rows[0][0] if rows else None

    def records_sharing_values(self, records: Collection[RecordKey]) -> list[Row]:
        """Returns kind, value, service and record_id of every record with a value of these, themselves included."""
        return self._rows(SHARED_VALUES_SQL, **_build_parameters(records))

    def decisions(self, records: Collection[RecordKey]) -> list[Row]:
        """Returns the IdentityOverride rows about these records, by id."""
        return self._rows(DECISIONS_SQL, **_build_parameters(records))

    def withheld_contacts(self, profile_ids: Collection[str]) -> list[RecordKey]:
        """Returns the contacts that are set aside and were last linked to one of these profile ids."""
        query = "select contact_id from withheld_consents where profile_id in (select unnest($ids)) order by all"
        return [RecordKey(Service.MESSAGING, row["contact_id"]) for row in self._rows(query, ids=list(profile_ids))]

    def _rows(self, query: str, **params: str | list[str]) -> list[Row]:
        rows: list[Row] = self.con.sql(query, params=params).to_arrow_table().to_pylist()
        return rows


def parse_record_key(text: str) -> RecordKey | None:
    """Returns the record that `SERVICE:ID` names, None without an id or for an unknown service."""
    service, _, record_id = text.partition(":")
    return RecordKey(service.upper(), record_id) if service.upper() in set(Service) and record_id else None


def _build_parameters(records: Collection[RecordKey]) -> dict[str, list[str]]:
    return {"services": [key.service for key in records], "ids": [key.record_id for key in records]}
