-- Every fault of profile ids. No code is shared with identity resolution, which wrote what is read.
-- reads: customer_identities, profile_ids, profile_events
-- creates: rows (violation, tenant_id, subject)
with anchored_ids as (
    select p.*, i.profile_id as anchor_profile_id
    from profile_ids p
    left join customer_identities i on i.tenant_id = p.tenant_id and i.service = p.anchor_service
        and i.service_record_id = p.anchor_record_id
),
event_summary as (
    select tenant_id, profile_id,
        count(*) filter (where event_type = 'CREATED') as creations,
        max(occurred_at) filter (where event_type in ('CREATED', 'RESURRECTED')) as last_live_at,
        max(occurred_at) filter (where event_type in ('MERGED', 'RETIRED')) as last_ended_at,
        list(other_profile_id) filter (where event_type = 'MERGED') as merged_into,
        count(*) filter (where event_type = 'RETIRED') as retirements
    from profile_events group by all
),
expected_hashes as (
    select tenant_id, profile_id,
        sha1(unhex('6cf681b248025403bccfea05e86c509b')
            || encode(concat_ws('|', tenant_id, minted_service, minted_record_id, generation))) as hash
    from profile_ids
)
select 'live ids and profiles are not one to one', tenant_id, profile_id
from (select tenant_id, profile_id from profile_ids where is_live) l
full join (select distinct tenant_id, profile_id, true as is_profile from customer_identities) i
    using (tenant_id, profile_id)
where is_profile is null or not exists (
    from profile_ids p where p.tenant_id = i.tenant_id and p.profile_id = i.profile_id and p.is_live
)
union all
select 'the anchor of a profile is not that of its id', i.tenant_id, i.profile_id
from customer_identities i
join profile_ids p on p.tenant_id = i.tenant_id and p.profile_id = i.profile_id
where i.rule = 'ANCHOR' and (p.anchor_service, p.anchor_record_id) <> (i.service, i.service_record_id)
union all
select 'an id redirects to one that is not live', p.tenant_id, p.profile_id
from profile_ids p
left join profile_ids o on o.tenant_id = p.tenant_id and o.profile_id = p.redirects_to
where p.redirects_to is not null and (p.is_live or not coalesce(o.is_live, false))
union all
select 'an id leads elsewhere than its anchor record', tenant_id, profile_id
from anchored_ids
where anchor_profile_id is not null and anchor_profile_id is distinct from if(is_live, profile_id, redirects_to)
union all
select 'a profile has not the oldest of its ids', p.tenant_id, p.anchor_profile_id
from anchored_ids p join profile_ids h on h.tenant_id = p.tenant_id and h.profile_id = p.anchor_profile_id
group by all having min(p.birth_order) < min(h.birth_order)
union all
select 'an id is there twice', min(tenant_id), profile_id from profile_ids group by profile_id having count(*) > 1
union all
-- Erased people leave gaps.
select 'two ids have one place among the births', tenant_id, profile_id
from profile_ids
qualify birth_order < 0 or birth_order <= lag(birth_order) over (partition by tenant_id order by birth_order)
union all
select 'an id is not made from the record it names', tenant_id, profile_id
from expected_hashes
where profile_id <> concat_ws('-', hash[1:8], hash[9:12], '5' || hash[14:16],
    format('{:x}', ('0x' || hash[17])::int & 3 | 8) || hash[18:20], hash[21:32])
union all
select 'an id was not born exactly once', tenant_id, profile_id
from profile_ids left join event_summary using (tenant_id, profile_id) where coalesce(creations, 0) <> 1
union all
select 'an id changed without an event', p.tenant_id, p.profile_id
from profile_ids p left join event_summary e using (tenant_id, profile_id)
where case
    when p.is_live then e.last_ended_at > e.last_live_at
    when p.redirects_to is null then coalesce(e.retirements, 0) = 0
    else not coalesce(list_contains(e.merged_into, p.redirects_to), false)
end
order by all
