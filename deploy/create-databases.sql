-- Creates the warehouse and Dagster's database, each with an owner who can connect to no other. The postgres image runs
-- this once, when its volume is empty. The passwords come from the environment, so that no process list shows them.
\getenv warehouse_password WAREHOUSE_PASSWORD
\getenv dagster_password DAGSTER_PASSWORD
create role crm_pipeline login password :'warehouse_password';
create role dagster login password :'dagster_password';
create database crm owner crm_pipeline;
create database dagster owner dagster;
revoke connect on database postgres, template1, crm, dagster from public;
