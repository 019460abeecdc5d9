"""Constructors for declaring tables, one per kind of column.

A column's name, type, comment, allowed values and validation are declared once, in SQLAlchemy's `Column` and its
`info`: form (see `TextForm`), allowed, references, service_column (of a record's id: where its service is), minimum and
maximum, recorded (no future time), hashed (false: a change of it is no change of the row).
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
"""Maximum lengths in characters; longer source values are quarantined."""

MAX_CENTS = 10**13
"""The largest amount of money in a row."""
MAX_SUM_CENTS = 9 * 10**18
"""The largest sum that is stored, up or down; sums are computed in wider integers than those that store them."""
MAX_COUNT = 1_000_000
"""The largest number of players, position or score, up or down."""
BY_TENANT = {"partitioned_by": "tenant_id"}
"""`info` of a published table of people: each club's rows, statistics and indexes are a partition of their own, so that
nothing a club may see, the planner's estimates included, depends on the people of another."""


class TextForm(StrEnum):
    """What a source text is, which decides how it is cleaned and which words it has for "nothing"."""

    LINE = "line"
    PARAGRAPHS = "paragraphs"
    """A text that keeps its line ends and tabs."""
    EXACT = "exact"
    """Compared as delivered: the id of a tenant."""
    ID = "id"
    LOGIN = "login"
    """An id of a person at the identity provider."""
    FIRST_NAME = "first name"
    LAST_NAME = "last name"
    EMAIL = "email"
    PHONE = "phone"
    TAG = "tag"
    CONTACT = "contact"
    """An email address or a phone number."""


source_metadata = MetaData()
output_metadata = MetaData(schema="crm")


def to_snake_case(name: str) -> str:
    """Returns a camelCase name in snake_case: `tenant_id` for `tenantId`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def declare_source_table(service: Service, name: str, comment: str, *columns: Column[Any]) -> Table:
    """Creates a service's table with its camelCase names, keyed in snake_case; a Tenant's `id` gets key `tenant_id`."""
    for column in columns:
        column.primary_key = column.name == "id"
        column.key = "tenant_id" if (name, column.name) == ("Tenant", "id") else to_snake_case(column.name)
    return Table(name, source_metadata, *columns, comment=comment, info={"service": service})


def find_table_service(table: Table) -> Service:
    """Returns the service of a source table."""
    service: Service = table.info["service"]
    return service


def text(
    name: str,
    comment: str,
    *,
    nullable: bool = False,
    allowed: type[StrEnum] | tuple[str, ...] | None = None,
    form: TextForm = TextForm.LINE,
    max_length: int = SHORT_TEXT_LENGTH,
) -> Column[Any]:
    """Creates a text column; `allowed` lists its values."""
    info = {"allowed": tuple(map(str, allowed)) if allowed else None, "form": form}
    return Column(name, String(max_length), nullable=nullable, comment=comment, info=info)


def identifier(
    name: str,
    comment: str,
    *,
    nullable: bool = False,
    references: str | None = None,
    service_column: str | None = None,
) -> Column[Any]:
    """Creates a column of text ids.

    `references` names the service's table whose id it holds; for the id of a person's record of any service,
    `service_column` names the column with the service.
    """
    column = text(name, comment, nullable=nullable, form=TextForm.ID)
    column.info |= {"references": references, "service_column": service_column}
    return column


def tenant_id() -> Column[Any]:
    """Creates the column with the tenant of a source row."""
    return text("tenantId", "The club.", form=TextForm.EXACT)


def integer(
    name: str,
    comment: str,
    *,
    nullable: bool = False,
    references: str | None = None,
    minimum: int | None = None,
    maximum: int | None = None,
) -> Column[Any]:
    """Creates a column of 64-bit whole numbers, within `minimum` and `maximum` where given."""
    info = {"references": references, "minimum": minimum, "maximum": maximum}
    return Column(name, BigInteger, nullable=nullable, comment=comment, info=info)


def cents(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """Creates a money column in hundredths of the currency's unit, never negative, at most MAX_CENTS."""
    return integer(name, comment, nullable=nullable, minimum=0, maximum=MAX_CENTS)


def handicap(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """Creates a handicap index column, exact to one decimal."""
    return Column(name, HANDICAP_TYPE, nullable=nullable, comment=comment)


def fraction(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """Creates a column of numbers from 0 to 1."""
    return Column(name, Double, nullable=nullable, comment=comment)


def flag(name: str, comment: str) -> Column[Any]:
    """Creates a boolean column."""
    return Column(name, Boolean, nullable=False, comment=comment)


def recorded_at(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """Creates a column for the time something happened or was recorded, which cannot lie in the future."""
    return Column(name, UTC_TIME, nullable=nullable, comment=comment, info={"recorded": True})


def planned_at(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """Creates a column for a time that may lie in the future; where it is nullable, one from 2200 on is none."""
    return Column(name, UTC_TIME, nullable=nullable, comment=comment)


def planned_on(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """Creates a column for a calendar day in the tenant's time zone."""
    return Column(name, Date, nullable=nullable, comment=comment)


def person() -> tuple[Column[Any], ...]:
    """Creates the columns every service's people have: match keys and names."""
    return (
        text("authUserId", "The person's id at the identity provider.", nullable=True, form=TextForm.LOGIN),
        text("email", "Email address as entered.", nullable=True, form=TextForm.EMAIL),
        text("phoneNumber", "Phone number as entered.", nullable=True, form=TextForm.PHONE),
        text("firstName", "First name.", nullable=True, form=TextForm.FIRST_NAME),
        text("lastName", "Last name.", nullable=True, form=TextForm.LAST_NAME),
    )


def stamp(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """Creates a column for as_of of a run, which is no part of the row's hash."""
    return Column(name, UTC_TIME, nullable=nullable, comment=comment, info={"hashed": False})


def extracted_at(name: str, comment: str) -> Column[Any]:
    """Creates a column for as_of of a run that is the content of its row and part of its hash."""
    return Column(name, UTC_TIME, nullable=False, comment=comment)


def run_id(comment: str) -> Column[Any]:
    """Creates the column for the Dagster run that wrote the row, which is no part of the row's hash."""
    return Column("run_id", String(SHORT_TEXT_LENGTH), nullable=False, comment=comment, info={"hashed": False})


def uuid(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """Creates a profile id column; a string everywhere but in PostgreSQL."""
    return Column(name, UUID(as_uuid=False), nullable=nullable, comment=comment)


def json(name: str, comment: str, *, nullable: bool = False) -> Column[Any]:
    """Creates a column of JSON documents."""
    return Column(name, JSONB, nullable=nullable, comment=comment)


def texts(name: str, comment: str) -> Column[Any]:
    """Creates a column of lists of strings."""
    return Column(name, ARRAY(String), nullable=False, comment=comment)


def primary(column: Column[Any]) -> Column[Any]:
    """Returns the same column, changed to be part of the table's key."""
    column.primary_key, column.nullable = True, False
    return column
