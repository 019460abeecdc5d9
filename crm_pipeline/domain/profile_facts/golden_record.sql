-- One row per profile: for each field the best record's value, and which record that was.
-- reads: people, customer_identities, scl_member, ended_contracts, teetime_player, messaging_contact, crm_profile_tag,
--     profile_targets, withheld_consents
-- creates: golden_record
-- Best: not null, then not shared, then service order, then latest update, then lowest record id.

with members as (
    select i.profile_id, i.confidence, i.is_primary, email_is_shared, phone_is_shared, p.*,
        row_number() over (partition by p.tenant_id, i.profile_id
            order by service_order, p.updated_at desc, record_order) as place,
        p.service || ':' || p.record_id as record
    from people p
    join customer_identities i
        on i.tenant_id = p.tenant_id and i.service = p.service and i.service_record_id = p.record_id
),

persons as (
    select tenant_id, profile_id, min(confidence) as identity_confidence,
        least(min(created_at), as_of()) as first_seen_at,
        arg_min(auth_user_id, place) filter (auth_user_id is not null) as auth_user_id,
        arg_min(record, place) filter (auth_user_id is not null) as auth_user_id_source,
        arg_min(email, (email_is_shared, place)) filter (email is not null) as email,
        arg_min(record, (email_is_shared, place)) filter (email is not null) as email_source,
        -- Without the extension, which is part of the key only.
        split_part(arg_min(phone_number, (phone_is_shared, place)) filter (phone_number is not null), ';', 1)
            as phone_number,
        arg_min(record, (phone_is_shared, place)) filter (phone_number is not null) as phone_number_source,
        arg_min(first_name, place) filter (first_name is not null) as first_name,
        arg_min(record, place) filter (first_name is not null) as first_name_source,
        arg_min(last_name, place) filter (last_name is not null) as last_name,
        arg_min(record, place) filter (last_name is not null) as last_name_source,
        min(created_at) filter (service = 'TEETIME') as player_since,
        max(record_id) filter (service = 'SCL' and is_primary) as scl_record,
        max(record_id) filter (service = 'TEETIME' and is_primary) as teetime_player_id,
        max(record_id) filter (service = 'MESSAGING' and is_primary) as messaging_contact_id
    from members group by all
),

players as (
    select m.tenant_id, m.profile_id,
        arg_min(p.handicap, place) filter (p.handicap is not null) as handicap,
        arg_min(record, place) filter (p.handicap is not null) as handicap_source,
        arg_min(p.home_club_id, place) filter (p.home_club_id is not null) as home_club_id,
        arg_min(record, place) filter (p.home_club_id is not null) as home_club_id_source
    from members m join teetime_player p on m.service = 'TEETIME' and p.tenant_id = m.tenant_id and p.id = m.record_id
    group by all
),

-- Consent comes from Messaging alone, and is true only if every contact of the profile says so. One that is set aside
-- says no at the profile that it was last linked to.
answers as (
    select m.tenant_id, m.profile_id, email_opt_in, sms_opt_in, push_opt_in, whatsapp_opt_in
    from members m join messaging_contact c
        on m.service = 'MESSAGING' and c.tenant_id = m.tenant_id and c.id = m.record_id
    union all
    select tenant_id, target, false, false, false, false
    from withheld_consents join profile_targets using (tenant_id, profile_id)
),

consents as (
    select tenant_id, profile_id, bool_and(email_opt_in) as email_opt_in, bool_and(sms_opt_in) as sms_opt_in,
        bool_and(push_opt_in) as push_opt_in, bool_and(whatsapp_opt_in) as whatsapp_opt_in
    from answers
    group by all
),

memberships as (
    select tenant_id, cast(m.id as varchar) as scl_record, scl_member_id, membership_tier, membership_status,
        joined_at, renews_on, ended_at, notice_given_at, yearly_fee_cents,
        coalesce(first_ended_at, updated_at) as first_ended_at
    from (select *, id as scl_member_id from scl_member) m left join ended_contracts using (tenant_id, scl_member_id)
),

-- The current tags; as on the timeline, up to 5 minutes ahead counts as now.
tags as (
    select t.tenant_id, target as profile_id, list_sort(list_distinct(list(tag))) as tags
    from crm_profile_tag t join profile_targets using (tenant_id, profile_id)
    where added_at <= as_of() + clock_tolerance() and coalesce(removed_at > as_of() + clock_tolerance(), true)
    group by all
)

select tenant_id, profile_id as id, auth_user_id, email, phone_number, scl_member_id,
    teetime_player_id, messaging_contact_id, first_name, last_name,
    coalesce(nullif(concat_ws(' ', first_name, last_name), ''), email, phone_number) as display_name,
    coalesce(tags, []) as tags, handicap, home_club_id, membership_tier, membership_status,
    coalesce(email_opt_in, false) as email_opt_in, coalesce(sms_opt_in, false) as sms_opt_in,
    coalesce(push_opt_in, false) as push_opt_in, coalesce(whatsapp_opt_in, false) as whatsapp_opt_in,
    identity_confidence, first_seen_at,
    cast(to_json({auth_user_id: auth_user_id_source, email: email_source, phone_number: phone_number_source,
        first_name: first_name_source, last_name: last_name_source, handicap: handicap_source,
        home_club_id: home_club_id_source,
        membership_tier: case when membership_tier is not null then 'SCL:' || scl_record end,
        membership_status: 'SCL:' || scl_record}) as varchar) as field_sources,
    joined_at, renews_on, ended_at, notice_given_at, yearly_fee_cents, first_ended_at, player_since
from persons
left join players using (tenant_id, profile_id)
left join consents using (tenant_id, profile_id)
left join tags using (tenant_id, profile_id)
left join memberships using (tenant_id, scl_record)
