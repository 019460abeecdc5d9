-- Every fault of links and profiles, missing ones included.
-- reads: records, tenants, suppressed, overrides (as identity resolution read them), customer_identities,
--     identity_reviews (as it wrote them), folded_names (first_name and its FoldedName: whole, openings, initials,
--     generation), nicknames (name, nickname)
-- creates: rows (violation, tenant_id, subject)
-- No code is shared but that which folds a name.
with recursive
record_values as (
    select tenant_id, service, 'AUTH_USER_ID' as kind, auth_user_id as value from records where auth_user_id is not null
    union all
    select tenant_id, service, 'EMAIL', email from records where email is not null
    union all
    select tenant_id, service, 'PHONE', phone_number from records where phone_number is not null
),
counted_values as (
    select tenant_id, kind, value from record_values group by tenant_id, kind, value, service having count(*) > 3
    union
    select tenant_id, kind, value from suppressed
),
counted_keys as (
    select r.tenant_id, r.service, r.record_id, r.first_name, r.last_name, r.auth_user_id as any_auth_user_id,
        if(a.value is null, r.auth_user_id, null) as auth_user_id,
        if(e.value is null, r.email, null) as email,
        if(p.value is null, r.phone_number, null) as phone_number
    from records r
    left join counted_values a on a.tenant_id = r.tenant_id and a.kind = 'AUTH_USER_ID' and a.value = r.auth_user_id
    left join counted_values e on e.tenant_id = r.tenant_id and e.kind = 'EMAIL' and e.value = r.email
    left join counted_values p on p.tenant_id = r.tenant_id and p.kind = 'PHONE' and p.value = r.phone_number
),
-- The names of records with one login, and on both sides of a link, both ways round.
compared_names as (
    select a.first_name, b.first_name as other_name
    from counted_keys a
    join counted_keys b on b.tenant_id = a.tenant_id and b.auth_user_id = a.auth_user_id
    where a.first_name <> b.first_name
    union
    select unnest([a.first_name, b.first_name]), unnest([b.first_name, a.first_name])
    from customer_identities i
    join records a on a.tenant_id = i.tenant_id and a.service = i.service and a.record_id = i.service_record_id
    join records b on b.tenant_id = i.tenant_id and b.service = i.linked_to_service
        and b.record_id = i.linked_to_record_id
    where a.first_name <> b.first_name
),
differing_names as (
    select c.first_name, c.other_name, n.name is not null as are_nicknames
    from compared_names c
    join folded_names a on a.first_name = c.first_name
    join folded_names b on b.first_name = c.other_name
    left join nicknames n on n.name = a.whole and n.nickname = b.whole and a.generation = b.generation
        and (starts_with(a.initials, b.initials) or starts_with(b.initials, a.initials))
    where not (
        a.generation = b.generation
        and (starts_with(a.initials, b.initials) or starts_with(b.initials, a.initials))
        and (list_contains(a.openings, b.whole) or list_contains(b.openings, a.whole)
            or (length(a.whole) = 1 and starts_with(b.whole, a.whole))
            or (length(b.whole) = 1 and starts_with(a.whole, b.whole))))
),
differing_logins as (
    select a.tenant_id, a.auth_user_id, (a.service, a.record_id) as one, (b.service, b.record_id) as other
    from counted_keys a
    join counted_keys b on b.tenant_id = a.tenant_id and b.auth_user_id = a.auth_user_id
    join differing_names d on d.first_name = a.first_name and d.other_name = b.first_name and not are_nicknames
    where not coalesce(a.email = b.email, false) and not coalesce(a.phone_number = b.phone_number, false)
),
shared_logins as (
    select distinct a.tenant_id, a.auth_user_id
    from differing_logins a
    join differing_logins b on b.tenant_id = a.tenant_id and b.auth_user_id = a.auth_user_id and b.one = a.other
    join differing_logins c on c.tenant_id = a.tenant_id and c.auth_user_id = a.auth_user_id and c.one = a.one
        and c.other = b.other
),
match_keys as (
    select k.* replace (if(s.auth_user_id is null, k.auth_user_id, null) as auth_user_id)
    from counted_keys k left join shared_logins s on s.tenant_id = k.tenant_id and s.auth_user_id = k.auth_user_id
),
-- Of one service, with one login and first names that disagree.
separated_logins as (
    select a.tenant_id, a.service, a.record_id, b.service as other_service, b.record_id as other_record_id
    from match_keys a
    join match_keys b on b.tenant_id = a.tenant_id and b.service = a.service and b.auth_user_id = a.auth_user_id
    join differing_names d on d.first_name = a.first_name and d.other_name = b.first_name
),
decided as (
    select tenant_id, service_a, record_id_a, service_b, record_id_b, decision from overrides
    union
    select tenant_id, service_b, record_id_b, service_a, record_id_a, decision from overrides
),
always_pairs as (select * exclude (decision) from decided where decision = 'ALWAYS'),
never_pairs as (select * exclude (decision) from decided where decision = 'NEVER'),
members as (
    select i.profile_id, e.* from customer_identities i
    join match_keys e on e.tenant_id = i.tenant_id and e.service = i.service and e.record_id = i.service_record_id
),
links as (
    select i.tenant_id, i.service || ' ' || i.service_record_id as subject, i.rule, i.confidence, i.profile_id,
        t.min_confidence, i.service, i.service_record_id, i.linked_to_service, i.linked_to_record_id,
        a.first_name, b.first_name as to_first_name,
        o.profile_id as to_profile_id, a.service = b.service as is_one_service,
        coalesce(a.auth_user_id = b.auth_user_id, false)
            and (a.tenant_id, a.service, a.record_id, b.service, b.record_id) not in (from separated_logins)
            as auth_user_ids_match,
        coalesce(a.email = b.email, false) as emails_match,
        coalesce(a.phone_number = b.phone_number, false) as phones_match,
        coalesce(a.first_name = b.first_name and a.last_name = b.last_name, false) as full_names_match,
        coalesce((i.tenant_id, i.service, i.service_record_id, i.linked_to_service, i.linked_to_record_id)
            in (from always_pairs), false) as is_decided
    from customer_identities i
    join tenants t on t.tenant_id = i.tenant_id
    left join match_keys a on a.tenant_id = i.tenant_id and a.service = i.service and a.record_id = i.service_record_id
    left join match_keys b
        on b.tenant_id = i.tenant_id and b.service = i.linked_to_service and b.record_id = i.linked_to_record_id
    left join customer_identities o on o.tenant_id = i.tenant_id and o.service = i.linked_to_service
        and o.service_record_id = i.linked_to_record_id
    where i.rule <> 'ANCHOR'
),
-- Neither anchors nor linked to one. They are few: a recursion holds what it has found in memory.
distant_records as (
    select i.tenant_id, i.service, i.service_record_id, i.linked_to_service, i.linked_to_record_id
    from customer_identities i
    anti join (select * from customer_identities where rule = 'ANCHOR') a on a.tenant_id = i.tenant_id
        and a.service = i.linked_to_service and a.service_record_id = i.linked_to_record_id
    where i.rule <> 'ANCHOR'
),
connected_records as (
    select d.tenant_id, d.service, d.service_record_id
    from distant_records d
    join customer_identities i on i.tenant_id = d.tenant_id and i.service = d.linked_to_service
        and i.service_record_id = d.linked_to_record_id
    anti join distant_records o on o.tenant_id = i.tenant_id and o.service = i.service
        and o.service_record_id = i.service_record_id
    union
    select d.tenant_id, d.service, d.service_record_id
    from connected_records r
    join distant_records d on d.tenant_id = r.tenant_id and d.linked_to_service = r.service
        and d.linked_to_record_id = r.service_record_id
),
member_values as (
    unpivot (select tenant_id, profile_id, service, record_id, auth_user_id, email, phone_number from members)
    on auth_user_id, email, phone_number into name kind value value
),
split_values as (
    select tenant_id, kind, value from member_values group by all having min(profile_id) <> max(profile_id)
),
matching_records as (
    select distinct h.tenant_id, h.service, h.record_id, o.service as other_service, o.record_id as other_record_id
    from member_values h
    semi join split_values using (tenant_id, kind, value)
    join member_values o using (tenant_id, kind, value)
    where h.profile_id <> o.profile_id
    union
    from always_pairs
),
separate_pairs as (
    select a.tenant_id, a.profile_id, b.profile_id as other_profile_id, a.service || ' ' || a.record_id as subject,
        coalesce(a.email = b.email and a.phone_number = b.phone_number, false) as both_match,
        case
            when (a.tenant_id, a.service, a.record_id, b.service, b.record_id) in (from always_pairs) then 1.01
            when (a.tenant_id, a.service, a.record_id, b.service, b.record_id) in (from separated_logins) then 0.00
            when a.auth_user_id = b.auth_user_id then if(a.service = b.service, 1.01, 1.00)
            when a.service = b.service
                then if(both_match and a.first_name = b.first_name and a.last_name = b.last_name, 1.01, 0.00)
            when both_match then 0.99
            when a.email = b.email then 0.95
            when a.phone_number = b.phone_number then 0.85
            else 0.00
        end as level
    from matching_records t
    join members a on a.tenant_id = t.tenant_id and a.service = t.service and a.record_id = t.record_id
    join members b on b.tenant_id = t.tenant_id and b.service = t.other_service and b.record_id = t.other_record_id
    where a.profile_id <> b.profile_id
        and (a.any_auth_user_id = b.any_auth_user_id or a.any_auth_user_id is null or b.any_auth_user_id is null)
        and (a.tenant_id, a.service, a.record_id, b.service, b.record_id) not in (from never_pairs)
),
-- Pairs below min_confidence may contradict a duplicate registration too.
edges as (
    select a.*, level >= min_confidence as links from separate_pairs a join tenants using (tenant_id)
    where level >= min_confidence or level = 0.99
),
reachable as (
    select tenant_id, profile_id as root, profile_id from edges
    union
    select r.tenant_id, r.root, e.other_profile_id from reachable r
    join edges e on e.tenant_id = r.tenant_id and e.profile_id = r.profile_id
),
components as (
    select tenant_id, profile_id, min(root) as component from reachable group by all
),
component_members as (
    select c.component, m.* from components c join members m using (tenant_id, profile_id)
),
conflicting_components as (
    select distinct a.tenant_id, a.component
    from component_members a
    join component_members b on b.tenant_id = a.tenant_id and b.component = a.component
        and (b.service, b.record_id) > (a.service, a.record_id)
    where a.any_auth_user_id <> b.any_auth_user_id
        or (a.service = b.service
            and (not coalesce(a.auth_user_id = b.auth_user_id, false)
                or (a.tenant_id, a.service, a.record_id, b.service, b.record_id) in (from separated_logins))
            and not coalesce(a.email = b.email and a.phone_number = b.phone_number and a.first_name = b.first_name
                and a.last_name = b.last_name, false)
            and (a.tenant_id, a.service, a.record_id, b.service, b.record_id) not in (from always_pairs))
        or (a.tenant_id, a.service, a.record_id, b.service, b.record_id) in (from never_pairs)
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
join never_pairs n on n.tenant_id = a.tenant_id and n.service_a = a.service and n.record_id_a = a.record_id
    and n.service_b = b.service and n.record_id_b = b.record_id
where (a.service, a.record_id) < (b.service, b.record_id)
union all
select 'a profile has two people of one service', a.tenant_id, a.profile_id
from members a
join members b on b.tenant_id = a.tenant_id and b.profile_id = a.profile_id and b.service = a.service
    and b.record_id > a.record_id
where (not coalesce(a.auth_user_id = b.auth_user_id, false)
        or (a.tenant_id, a.service, a.record_id, b.service, b.record_id) in (from separated_logins))
    and not coalesce(a.email = b.email and a.phone_number = b.phone_number and a.first_name = b.first_name
        and a.last_name = b.last_name, false)
    and (a.tenant_id, a.service, a.record_id, b.service, b.record_id) not in (from always_pairs)
union all
select 'a profile has no anchor, or several', tenant_id, profile_id
from customer_identities group by all having count(*) filter (where rule = 'ANCHOR') <> 1
union all
select 'an anchor has a link or is not certain', tenant_id, profile_id
from customer_identities
where rule = 'ANCHOR' and (linked_to_service is not null or linked_to_record_id is not null or confidence <> 1.0)
union all
select 'the links of a record do not lead to the anchor', tenant_id, service || ' ' || service_record_id
from distant_records anti join connected_records using (tenant_id, service, service_record_id)
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
where confidence is distinct from case rule when 'ALWAYS' then 1.0 when 'AUTH_USER_ID' then 1.0
    when 'EMAIL_AND_PHONE' then 0.99 when 'DUPLICATE_REGISTRATION' then 0.99
    when 'EMAIL' then 0.95 when 'PHONE' then 0.85 end
union all
select 'a link is below min_confidence', tenant_id, subject from links
where confidence < min_confidence and rule not in ('ALWAYS', 'DUPLICATE_REGISTRATION')
union all
select distinct 'records that match and contradict nothing are two people', e.tenant_id, e.subject
from edges e join components using (tenant_id, profile_id) anti join conflicting_components using (tenant_id, component)
where e.links
union all
select 'first names differ and nobody is asked', tenant_id, subject
from links l
where rule in ('AUTH_USER_ID', 'EMAIL_AND_PHONE', 'EMAIL', 'PHONE') and not is_one_service
    and (first_name, to_first_name) in (select (first_name, other_name) from differing_names where not are_nicknames)
    and not exists (
        from identity_reviews r
        where r.tenant_id = l.tenant_id and r.kind = 'NAMES_DIFFER' and r.closed_at is null
            and ((r.service_a, r.record_id_a, r.service_b, r.record_id_b)
                    = (l.service, l.service_record_id, l.linked_to_service, l.linked_to_record_id)
                or (r.service_b, r.record_id_b, r.service_a, r.record_id_a)
                    = (l.service, l.service_record_id, l.linked_to_service, l.linked_to_record_id))
    )
union all
select 'a shared value is not told apart', i.tenant_id, i.service || ' ' || i.service_record_id
from customer_identities i
join records r on r.tenant_id = i.tenant_id and r.service = i.service and r.record_id = i.service_record_id
left join counted_values e on e.tenant_id = r.tenant_id and e.kind = 'EMAIL' and e.value = r.email
left join counted_values p on p.tenant_id = r.tenant_id and p.kind = 'PHONE' and p.value = r.phone_number
where i.email_is_shared <> (e.value is not null) or i.phone_is_shared <> (p.value is not null)
union all
select 'a profile has no primary record of a service, or several', tenant_id, profile_id || ' ' || service
from customer_identities group by tenant_id, profile_id, service having count(*) filter (where is_primary) <> 1
order by all
