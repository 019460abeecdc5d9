"""Alembic's environment: runs the revisions on the connection of the configuration."""

from alembic import context
from sqlalchemy.schema import SchemaItem

from crm_pipeline.resources.warehouse.schema import CRM_SCHEMA, build_warehouse_tables


def is_declared_object(_: SchemaItem, __: str | None, kind: str, reflected: bool, compared: SchemaItem | None) -> bool:
    """Whether a draft covers the object: declared tables with their columns and indexes."""
    return not (kind == "table" and reflected and compared is None)


def is_in_schema(name: str | None, kind: str, _: object) -> bool:
    """Whether the object may be read: of schemas only `crm`."""
    return kind != "schema" or name == CRM_SCHEMA


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=build_warehouse_tables(),
    version_table_schema=CRM_SCHEMA,
    include_schemas=True,
    include_name=is_in_schema,
    include_object=is_declared_object,
)
with context.begin_transaction():
    context.run_migrations()
