-- Everything that must not be in a resolution, found from the records alone: (violation, tenant_id, subject) per fault.
-- Reads: records, tenants, suppressed and overrides as identity resolution was given them, and the customer_identities
-- and profile_ids it left. Shares no code with it.
with recursive
carried as (
    select tenant_id, service, 'AUTH_USER_ID' as kind, auth_user_id as value from records where auth_user_id is not null
    union all
    select tenant_id, service, 'EMAIL', email from records where email is not null
    union all
    select tenant_id, service, 'PHONE', phone_number from records where phone_number is not null
),
shared as (
    select tenant_id, kind, value from carried group by tenant_id, kind, value, service having count(*) > 3
    union
    select tenant_id, kind, value from suppressed
),
evidence as (
    select r.tenant_id, r.service, r.record_id, r.first_name, r.last_name, r.auth_user_id as any_auth_user_id,
        if(a.value is null, r.auth_user_id, null) as auth_user_id,
        if(e.value is null, r.email, null) as email,
        if(p.value is null, r.phone_number, null) as phone_number
    from records r
    left join shared a on a.tenant_id = r.tenant_id and a.kind = 'AUTH_USER_ID' and a.value = r.auth_user_id
    left join shared e on e.tenant_id = r.tenant_id and e.kind = 'EMAIL' and e.value = r.email
    left join shared p on p.tenant_id = r.tenant_id and p.kind = 'PHONE' and p.value = r.phone_number
),
decided as (
    select tenant_id, service_a, record_id_a, service_b, record_id_b, decision from overrides
    union
    select tenant_id, service_b, record_id_b, service_a, record_id_a, decision from overrides
),
members as (
    select i.profile_id, e.* from customer_identities i
    join evidence e on e.tenant_id = i.tenant_id and e.service = i.service and e.record_id = i.service_record_id
),
links as (
    select i.tenant_id, i.service || ' ' || i.service_record_id as subject, i.rule, i.confidence, i.profile_id, t.min_confidence,
        o.profile_id as to_profile_id, a.service = b.service as is_one_service,
        coalesce(a.auth_user_id = b.auth_user_id, false) as auth_user_ids_match,
        coalesce(a.email = b.email, false) as emails_match,
        coalesce(a.phone_number = b.phone_number, false) as phones_match,
        coalesce(a.first_name = b.first_name and a.last_name = b.last_name, false) as full_names_match,
        exists (
            from decided d
            where d.tenant_id = i.tenant_id and d.service_a = i.service and d.record_id_a = i.service_record_id
                and d.service_b = i.linked_to_service and d.record_id_b = i.linked_to_record_id and d.decision = 'ALWAYS'
        ) as is_decided
    from customer_identities i
    join tenants t on t.tenant_id = i.tenant_id
    left join evidence a on a.tenant_id = i.tenant_id and a.service = i.service and a.record_id = i.service_record_id
    left join evidence b
        on b.tenant_id = i.tenant_id and b.service = i.linked_to_service and b.record_id = i.linked_to_record_id
    left join customer_identities o on o.tenant_id = i.tenant_id and o.service = i.linked_to_service
        and o.service_record_id = i.linked_to_record_id
    where i.rule <> 'ANCHOR'
),
reached as (
    select tenant_id, service, service_record_id from customer_identities where rule = 'ANCHOR'
    union
    select i.tenant_id, i.service, i.service_record_id
    from reached r
    join customer_identities i on i.tenant_id = r.tenant_id and i.linked_to_service = r.service
        and i.linked_to_record_id = r.service_record_id
)
select 'a record is not in exactly one profile' as violation, tenant_id, service || ' ' || record_id as subject
from (
    select tenant_id, service, record_id, 1 as given, 0 as stored from records semi join tenants using (tenant_id)
    union all
    select tenant_id, service, service_record_id, 0, 1 from customer_identities
)
group by all having sum(given) <> 1 or sum(stored) <> 1
union all
select 'a profile has two auth_user_ids', tenant_id, profile_id
from members group by all having count(distinct any_auth_user_id) > 1
union all
select 'a profile holds a NEVER pair', a.tenant_id, a.profile_id
from members a
join members b on b.tenant_id = a.tenant_id and b.profile_id = a.profile_id
join decided d on d.tenant_id = a.tenant_id and d.service_a = a.service and d.record_id_a = a.record_id
    and d.service_b = b.service and d.record_id_b = b.record_id and d.decision = 'NEVER'
where (a.service, a.record_id) < (b.service, b.record_id)
union all
select 'a profile has two people of one service', a.tenant_id, a.profile_id
from members a
join members b on b.tenant_id = a.tenant_id and b.profile_id = a.profile_id and b.service = a.service
    and b.record_id > a.record_id
where not coalesce(a.auth_user_id = b.auth_user_id, false)
    and not coalesce(a.email = b.email and a.phone_number = b.phone_number and a.first_name = b.first_name
        and a.last_name = b.last_name, false)
    and not exists (
        from decided d
        where d.tenant_id = a.tenant_id and d.service_a = a.service and d.record_id_a = a.record_id
            and d.service_b = b.service and d.record_id_b = b.record_id and d.decision = 'ALWAYS'
    )
union all
select 'a profile has no anchor, or several', tenant_id, profile_id
from customer_identities group by all having count(*) filter (where rule = 'ANCHOR') <> 1
union all
select 'an anchor has a link or is not certain', tenant_id, profile_id
from customer_identities
where rule = 'ANCHOR' and (linked_to_service is not null or linked_to_record_id is not null or confidence <> 1.0)
union all
select 'the links of a record do not lead to the anchor', tenant_id, service || ' ' || service_record_id
from customer_identities anti join reached using (tenant_id, service, service_record_id)
union all
select 'a link leaves its profile', tenant_id, subject from links where to_profile_id is distinct from profile_id
union all
select 'the rule of a link does not hold', tenant_id, subject from links
where not case rule
    when 'ALWAYS' then is_decided
    when 'AUTH_USER_ID' then auth_user_ids_match
    when 'EMAIL_AND_PHONE' then emails_match and phones_match and not is_one_service
    when 'DUPLICATE_REGISTRATION' then emails_match and phones_match and full_names_match and is_one_service
    when 'EMAIL' then emails_match and not is_one_service
    when 'PHONE' then phones_match and not is_one_service
    else false
end
union all
select 'the confidence of a link is not that of its rule', tenant_id, subject from links
where confidence is distinct from case rule when 'ALWAYS' then 1.0 when 'AUTH_USER_ID' then 1.0 when 'EMAIL_AND_PHONE' then 0.99
    when 'DUPLICATE_REGISTRATION' then 0.99 when 'EMAIL' then 0.95 when 'PHONE' then 0.85 end
union all
select 'a link is below min_confidence', tenant_id, subject from links
where confidence < min_confidence and rule not in ('ALWAYS', 'DUPLICATE_REGISTRATION')
union all
select 'live ids and profiles are not one to one', tenant_id, profile_id
from (select tenant_id, profile_id from profile_ids where is_live) l
full join (select distinct tenant_id, profile_id, true as is_profile from customer_identities) i using (tenant_id, profile_id)
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
order by all
