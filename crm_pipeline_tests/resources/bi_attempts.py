"""What somebody with the login of club `ours` may try in order to see or change more than its rows.

`{theirs}` stands for another club's schema, `{partition}` for its partition of the timeline, `{owner}` for the owner of
the views, `{login}` for the login itself, `{pid}` for a session of the pipeline's.
"""

from typing import Final

WAYS_OUT: Final = {
    "the base table": "select * from crm.customer_profiles",
    "another base table": "select * from crm.identity_reviews",
    "the whole timeline": "select * from crm.customer_timeline",
    "our own publications": "select * from crm.publications",
    "another club's schema": "select * from {theirs}.customer_profiles",
    "another club's partition": "select * from {partition}",
    "another club's role": "set role {theirs}",
    "the views' owner": "set role {owner}",
    "the pipeline's role": "set role crm_pipeline",
    "the superuser": "set session authorization postgres",
    "a role by way of a function": "select set_config('role', '{owner}', false)",
    "a role inside a block": "do $$ begin execute 'set role {owner}'; end $$",
    "membership": "grant {theirs} to {login}",
    "another's password": "alter role {theirs} password 'known'",
    "a role of one's own": "create role spy",
    "a right of one's own": "alter role {login} createrole",
    "a barrier taken away": "alter view customer_profiles set (security_barrier = false)",
    "a view widened": "create or replace view customer_profiles as select * from crm.customer_profiles",
    "a rule": "create rule r as on insert to customer_profiles do instead nothing",
    "a function that tells": "create function tell(text) returns bool language sql as 'select true'",
    "a temporary function": "create function pg_temp.tell(text) returns bool language sql as 'select true'",
    "a temporary table": "create temporary table t (x int)",
    "a table in public": "create table public.t (x int)",
    "a schema": "create schema s",
    "a database": "create database d",
    "a foreign server": "create foreign data wrapper w",
    "a publication": "create publication p for table customer_profiles",
    "an event trigger": "create event trigger e on ddl_command_start execute function pg_notify()",
    "a subquery run elsewhere": "select query_to_xml('select * from crm.customer_profiles', true, false, '')",
    "a schema run elsewhere": "select schema_to_xml('crm', true, false, '')",
    "a plan that runs": "explain analyze select * from crm.customer_profiles",
    "a program": "copy (select 1) to program 'id'",
    "a file written": "copy (select 1) to '/tmp/leak'",
    "a file read": "copy customer_profiles from '/etc/passwd'",
    "a file of the server's": "select pg_read_file('PG_VERSION')",
    "a folder of the server's": "select pg_ls_dir('.')",
    "a large object": "select lo_create(0)",
    "a large object's content": "select lo_from_bytea(0, 'x')",
    "a file as large object": "select lo_import('/etc/passwd')",
    "all large objects": "select * from pg_largeobject",
    "passwords": "select * from pg_authid",
    "passwords by another name": "select * from pg_shadow",
    "statistics of values": "select * from pg_statistic",
    "settings of the server": "alter system set fsync = off",
    "the log": "select pg_current_logfile()",
    "a publisher stopped": "select pg_terminate_backend({pid})",
    "a publisher kept out": "select pg_advisory_lock(hashtextextended('publish ours', 0))",
    "a publisher kept out, shared": "select pg_try_advisory_xact_lock_shared(1)",
    "readers kept out": "begin; lock table customer_profiles in access exclusive mode",
    "rows added": "insert into customer_profiles (tenant_id) values ('ours')",
    "rows changed": "update customer_profiles set email = 'x'",
    "rows deleted": "delete from customer_timeline",
    "rights passed on": "alter default privileges for role {owner} grant select on tables to public",
    "a library": "load 'plpgsql.so'",
}
"""Refused, each for lack of a right."""
SEES_NOTHING: Final = {
    "rows of another tenant": "select * from customer_profiles where tenant_id <> 'ours'",
    "values in statistics": "select * from pg_stats where schemaname = 'crm'",
    "tables one may read elsewhere": "select * from information_schema.tables where table_schema = 'crm'",
    "columns one may read elsewhere": "select * from information_schema.columns where table_schema = 'crm'",
    "what others are asking": """select query from pg_stat_activity
        where usename <> current_user and query <> '<insufficient privilege>' and query <> ''""",
    "another club's events by a guessed id": "select * from customer_timeline where event_id = 'theirs'",
}
"""Allowed to everybody, and empty for a login."""
