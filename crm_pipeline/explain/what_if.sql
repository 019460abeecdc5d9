-- What differs between two resolutions of one club, as temp tables: moves, merges, splits, opt_ins, money.
-- Reads: present_identities and other_identities (found_identities), present_profiles and other_profiles (golden
-- records), present_money and other_money (event_id, profile_id, amount_cents), each pair before and after.

create or replace temp table moves as
with pairs as (
    select before.profile_id as before_id, after.profile_id as after_id
    from present_identities before join other_identities after using (tenant_id, service, service_record_id)
    group by all
)
select *, count(*) over (partition by after_id) > 1 as merges, count(*) over (partition by before_id) > 1 as splits
from pairs;

create or replace temp table merges as
select after_id as profile_id, list(before_id order by before_id) as profile_ids
from moves where merges group by all order by profile_id;

create or replace temp table splits as
select before_id as profile_id, list(after_id order by after_id) as profile_ids
from moves where splits group by all order by profile_id;

-- A flag of somebody of today that would be another one on the profile their records would be on.
create or replace temp table opt_ins as
with before as (
    unpivot (select id, email_opt_in, sms_opt_in, push_opt_in, whatsapp_opt_in from present_profiles)
    on email_opt_in, sms_opt_in, push_opt_in, whatsapp_opt_in into name flag value agreed
),
after as (
    unpivot (select id, email_opt_in, sms_opt_in, push_opt_in, whatsapp_opt_in from other_profiles)
    on email_opt_in, sms_opt_in, push_opt_in, whatsapp_opt_in into name flag value agreed
)
select before_id, after_id, before.flag, after.agreed as would_be
from moves
join before on before.id = before_id
join after on after.id = after_id and after.flag = before.flag
where (merges or splits) and before.agreed <> after.agreed;

create or replace temp table money as
select before.profile_id as before_id, after.profile_id as after_id, sum(before.amount_cents) as cents
from present_money before join other_money after using (event_id)
where before.profile_id <> after.profile_id
group by all;
