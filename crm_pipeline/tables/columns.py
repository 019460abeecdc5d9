"""The words tables are declared with: one small constructor per kind of column.

A column's name, type, comment, allowed values and what may be wrong with it are all said here, once, through
SQLAlchemy's `Column`; nothing that reads or writes data belongs here.
"""

import re
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Double, MetaData, Numeric, String, Table
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from crm_pipeline.vocabulary import Service

UTC_TIME = DateTime(timezone=True)
HANDICAP_TYPE = Numeric(5, 1)
SHORT_TEXT_LENGTH, MEDIUM_TEXT_LENGTH, LONG_TEXT_LENGTH = 200, 1_000, 20_000

source_metadata = MetaData()
output_metadata = MetaData(schema="crm")


def to_snake_case(name: str) -> str:
    """`tenantId` as `tenant_id`, `emailOptIn` as `email_opt_in`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def declare_source_table(service: Service, name: str, comment: str, *columns: Column[Any]) -> Table:
    """One table of a service: its own camelCase names, keyed here in snake_case; a Tenant's id is its tenant_id."""
    for column in columns:
        column.primary_key = column.name == "id"
        column.key = "tenant_id" if (name, column.name) == ("Tenant", "id") else to_snake_case(column.name)
    return Table(name, source_metadata, *columns, comment=comment, info={"service": service})


def find_table_service(table: Table) -> Service:
    """The service a source table belongs to."""
    service: Service = table.info["service"]
    return service


def text(
    name: str,
    comment: str,
    *,
    nullable: bool = False,
    allowed: type[StrEnum] | tuple[str, ...] | None = None,
    references: str | None = None,
    max_length: int = SHORT_TEXT_LENGTH,
) -> Column[Any]:
    """A string; `allowed` closes its values, `references` names the table of its service whose id it must be."""
    info = {"allowed": tuple(map(str, allowed)) if allowed else None, "references": references}
    return Column(name, String(max_length), nullable=nullable, comment=comment, info=info)


def integer(
    name: str, comment: str, *, nullable: bool = False, references: str | None = None, minimum: int | None = None
) -> Column[Any]:
    """A 64-bit whole number, at least `minimum` where one is given."""
    return Column(
        name, BigInteger, nullable=nullable, comment=comment, info={"references": references, "minimum": minimum}
    )


def cents(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """Money in hundredths of the currency's unit, never negative."""
    return integer(name, comment, nullable=nullable, minimum=0)


def handicap(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """A handicap index, exact to one decimal."""
    return Column(name, HANDICAP_TYPE, nullable=nullable, comment=comment)


def fraction(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """A number from 0 to 1."""
    return Column(name, Double, nullable=nullable, comment=comment)


def flag(name: str, comment: str) -> Column[Any]:
    """True or false."""
    return Column(name, Boolean, nullable=False, comment=comment)


def recorded_at(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """The time something happened or was written down: it cannot lie in the future."""
    return Column(name, UTC_TIME, nullable=nullable, comment=comment, info={"recorded": True})


def planned_at(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """A time that may lie in the future."""
    return Column(name, UTC_TIME, nullable=nullable, comment=comment)


def planned_on(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """A calendar day in the tenant's time zone."""
    return Column(name, Date, nullable=nullable, comment=comment)


def person() -> tuple[Column[Any], ...]:
    """What every service knows a person by: the keys of identity, and the names."""
    return (
        text("authUserId", "The person's id at the identity provider.", nullable=True),
        text("email", "Email address as entered.", nullable=True),
        text("phoneNumber", "Phone number as entered.", nullable=True),
        text("firstName", "First name.", nullable=True),
        text("lastName", "Last name.", nullable=True),
    )


def stamp(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """A time about our own runs: it says when, not what, so it is no part of a row's hash."""
    return Column(name, UTC_TIME, nullable=nullable, comment=comment, info={"hashed": False})


def extracted_at(name: str, comment: str) -> Column[Any]:
    """A time about an extraction, which is what its row has to say: a later one is another row."""
    return Column(name, UTC_TIME, nullable=False, comment=comment)


def run_id(comment: str) -> Column[Any]:
    """The Dagster run that wrote the row; no part of its hash."""
    return Column("run_id", String(SHORT_TEXT_LENGTH), nullable=False, comment=comment, info={"hashed": False})


def uuid(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """A profile id; a string everywhere but in PostgreSQL."""
    return Column(name, UUID(as_uuid=False), nullable=nullable, comment=comment)


def json(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """A JSON document."""
    return Column(name, JSONB, nullable=nullable, comment=comment)


def texts(name: str, comment: str) -> Column[Any]:
    """A list of strings."""
    return Column(name, ARRAY(String), nullable=False, comment=comment)


def primary(column: Column[Any]) -> Column[Any]:
    """The same column, as part of the table's key."""
    column.primary_key, column.nullable = True, False
    return column
