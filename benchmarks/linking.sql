-- Creates links (every stored link, judged) and pairs (every two records of one person, and whether they are together).
-- Reads: people, suppressed, disagreeing_names (the first names on both sides of a link that disagree), truth (service, record_id, person_id), found_identities and found_reviews.
create or replace temp table judged_records as
with carried as (
    unpivot (select tenant_id, service, record_id, auth_user_id, email, phone_number from people)
    on auth_user_id, email, phone_number into name kind value value
),
shared as (
    select tenant_id, kind, value from carried group by tenant_id, kind, value, service having count(*) > 3
    union
    select tenant_id, if(kind = 'EMAIL', 'email', 'phone_number'), value from suppressed
)
select p.tenant_id, p.service, p.record_id, t.person_id, i.profile_id, i.rule, i.linked_to_service, i.linked_to_record_id,
    if(a.value is null, p.auth_user_id, null) as auth_user_id, if(e.value is null, p.email, null) as email,
    if(n.value is null, p.phone_number, null) as phone_number,
    p.comparable_first_name as first_name, p.comparable_last_name as last_name
from people p
join truth t using (service, record_id)
join found_identities i on i.tenant_id = p.tenant_id and i.service = p.service and i.service_record_id = p.record_id
left join shared a on a.tenant_id = p.tenant_id and a.kind = 'auth_user_id' and a.value = p.auth_user_id
left join shared e on e.tenant_id = p.tenant_id and e.kind = 'email' and e.value = p.email
left join shared n on n.tenant_id = p.tenant_id and n.kind = 'phone_number' and n.value = p.phone_number;

create or replace temp table links as
select a.rule, a.service = b.service as is_one_service, a.person_id <> b.person_id as is_false,
    case
        when a.first_name is null or b.first_name is null then 'MISSING'
        when a.first_name = b.first_name then 'SAME'
        when (a.first_name, b.first_name) in (from disagreeing_names) then 'DIFFER'
        else 'AGREE'
    end as names,
    exists (
        from found_reviews r
        where r.tenant_id = a.tenant_id and r.kind = 'NAMES_DIFFER' and r.closed_at is null
            and (r.service_a, r.record_id_a, r.service_b, r.record_id_b) in (
                (a.service, a.record_id, b.service, b.record_id), (b.service, b.record_id, a.service, a.record_id))
    ) as is_asked
from judged_records a
join judged_records b on b.tenant_id = a.tenant_id and b.service = a.linked_to_service
    and b.record_id = a.linked_to_record_id;

create or replace temp table pairs as
select
    case
        when a.auth_user_id = b.auth_user_id then 'AUTH_USER_ID'
        when a.email = b.email and a.phone_number = b.phone_number then 'EMAIL_AND_PHONE'
        when a.email = b.email then 'EMAIL'
        when a.phone_number = b.phone_number then 'PHONE'
    end as shares,
    a.service = b.service as is_one_service, a.profile_id = b.profile_id as is_together
from judged_records a
join judged_records b on b.tenant_id = a.tenant_id and b.person_id = a.person_id
    and (b.service, b.record_id) > (a.service, a.record_id)
