"""Tables of people are partitioned by club, so that planner estimates of one club say nothing about another."""

import hashlib
from contextlib import closing
from typing import Any

from alembic import op

revision = "0005"
down_revision = "0004"

KEYS = {
    "customer_identities": "tenant_id, service, service_record_id",
    "customer_profiles": "tenant_id, id",
    "identity_reviews": "tenant_id, review_id",
    "profile_events": "tenant_id, event_id",
    "profile_ids": "tenant_id, profile_id",
}
VIEWS = """
    select distinct v.oid::regclass::text, array_to_string(v.reloptions, ', '), pg_get_viewdef(v.oid)
    from pg_depend d join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
    join pg_class v on v.oid = r.ev_class
    where d.refobjid = 'crm.{table}'::regclass and d.refclassid = 'pg_class'::regclass and v.relkind = 'v'"""
GRANTS = """
    with rights as (
        select a.grantee, a.privilege_type as what, a.is_grantable, relowner, '' as columns
        from pg_class, aclexplode(relacl) a where pg_class.oid = 'crm.{table}'::regclass
        union all
        select a.grantee, a.privilege_type, a.is_grantable, relowner, format('(%I)', attname)
        from pg_class join pg_attribute on attrelid = pg_class.oid, aclexplode(attacl) a
        where pg_class.oid = 'crm.{table}'::regclass)
    select format('grant %s %s on crm.{table} to %s %s', what, columns,
        case grantee when 0 then 'public' else quote_ident(rolname) end,
        case when is_grantable then 'with grant option' end)
    from rights left join pg_roles on pg_roles.oid = grantee
    where grantee <> relowner and coalesce(rolname, '') <> 'crm_bi_owner'"""
"""The rights on a table, less those of the owner of the clubs' views: these read partitions from now on."""
COLUMNS = (
    "select attname from pg_attribute where attrelid = 'crm.{table}'::regclass and attnum > 0 and not attisdropped"
)
"""The columns of a table, one that is being upgraded may have more than were declared."""


def upgrade() -> None:
    """Copies each table into partitions beside it, which then take its place.

    A schema without a revision counts as the first, even if it was made by this release.
    """
    for table, key in KEYS.items():
        if not _execute(f"select 1 from pg_class where oid = 'crm.{table}'::regclass and relkind = 'p'"):
            _copy_rows(table, key)
            _replace_table(table)
    has_views = _execute("select 1 from pg_roles where rolname = 'crm_bi_owner'")
    for table in (*KEYS, "customer_timeline"):
        columns = ", ".join(f"alter {name} set statistics 0" for (name,) in _execute(COLUMNS.format(table=table)))
        _execute(f"alter table crm.{table} {columns}")
        if has_views:
            _execute(f"revoke all on crm.{table} from crm_bi_owner")


def _copy_rows(table: str, key: str) -> None:
    """Creates `<table>_partitioned` with all rows of a table that nobody writes to meanwhile."""
    _execute(f"lock table crm.{table} in share mode")
    _execute(
        f"""create table crm.{table}_partitioned (like crm.{table} including all excluding indexes)
        partition by list (tenant_id)"""
    )
    for (tenant,) in _execute(f"select distinct tenant_id from crm.{table}"):
        partition = f"crm.{table}_{hashlib.sha256(tenant.encode()).hexdigest()[:16]}"
        value = "'" + tenant.replace("'", "''") + "'"
        _execute(
            f"""create table {partition} partition of crm.{table}_partitioned for values in ({value})
            with (fillfactor = 90)"""
        )
    _execute(f"insert into crm.{table}_partitioned select * from crm.{table}")
    _execute(f"alter table crm.{table}_partitioned add primary key ({key})")


def _replace_table(table: str) -> None:
    """Puts the copy in the table's place, with its comment and rights; views read the copy from now on."""
    views, grants = _execute(VIEWS.format(table=table)), _execute(GRANTS.format(table=table))
    comment = _execute(f"select quote_nullable(obj_description('crm.{table}'::regclass))")[0][0]
    _execute(f"alter table crm.{table} rename to {table}_unpartitioned")
    _execute(f"alter table crm.{table}_partitioned rename to {table}")
    _execute(f"comment on table crm.{table} is {comment}")
    for (grant,) in grants:
        _execute(grant)
    for name, options, definition in views:
        _execute(f"create or replace view {name} {f'with ({options})' if options else ''} as {definition}")
    _execute(f"drop table crm.{table}_unpartitioned")
    _execute(f"alter index crm.{table}_partitioned_pkey rename to {table}_pkey")


def _execute(statement: str) -> list[tuple[Any, ...]]:
    """Returns the rows of a statement, which is executed as it is: a club's id may look like a placeholder."""
    with closing(op.get_bind().connection.cursor()) as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []
