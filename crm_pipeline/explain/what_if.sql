-- Differences between two resolutions of one tenant, before (baseline) and after (scenario).
-- reads: baseline_identities, scenario_identities (rows of customer_identities), baseline_opt_ins, scenario_opt_ins
--     (id, flag, is_opted_in: one row per flag of a golden record), baseline_money, scenario_money (event_id,
--     profile_id, amount_cents)
-- creates: profile_moves, merges, splits, opt_in_changes, moved_money (temp tables)

create or replace temp table profile_moves as
with pairs as (
    select before.profile_id as before_id, after.profile_id as after_id
    from baseline_identities before join scenario_identities after using (tenant_id, service, service_record_id)
    group by all
)
select *, count(*) over (partition by after_id) > 1 as merges, count(*) over (partition by before_id) > 1 as splits
from pairs;

create or replace temp table merges as
select after_id as profile_id, list(before_id order by before_id) as profile_ids
from profile_moves where merges group by all order by profile_id;

create or replace temp table splits as
select before_id as profile_id, list(after_id order by after_id) as profile_ids
from profile_moves where splits group by all order by profile_id;

-- Opt-in flags that differ between a profile of today and the profile its records would be on.
create or replace temp table opt_in_changes as
select before_id, after_id, before.flag, after.is_opted_in as is_opted_in_after
from profile_moves
join baseline_opt_ins before on before.id = before_id
join scenario_opt_ins after on after.id = after_id and after.flag = before.flag
where (merges or splits) and before.is_opted_in <> after.is_opted_in;

create or replace temp table moved_money as
select before.profile_id as before_id, after.profile_id as after_id, sum(before.amount_cents) as cents
from baseline_money before join scenario_money after using (event_id)
where before.profile_id <> after.profile_id
group by all;
