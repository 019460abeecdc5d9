-- The canonical stream of events, one row per thing that happened, from the valid rows of every service.
-- Reads: scl_*, teetime_*, messaging_*, crm_*, teetime_booking_log, customer_identities, profile_targets, tenants,
--        past_stage_changes (the STAGE_CHANGED events so far), as_of(), clock_tolerance().
-- A recorded time up to 5 minutes after as_of() comes from a fast clock and becomes as_of(); a later one `is_future`.
-- counts_as says how an event enters counts and scores (crm_pipeline.vocabulary.CountsAs); null: it does not.

with settled_bookings as (
    select distinct tenant_id, booking_id from scl_payment
    where status = 'SETTLED' and kind = 'PAYMENT' and booking_id is not null
),

first_cancelled as (
    select tenant_id, id, min(updated_at) as cancelled_at
    from teetime_booking_log where status = 'CANCELLED' and len(_problems) = 0 group by all
),

first_opens as (
    select tenant_id, arg_min(id, (occurred_at, id)) as id
    from messaging_message_event where kind = 'OPENED' and not is_machine_open
    group by tenant_id, contact_id, message_id
),

record_events as (
    select tenant_id, 'SCL' as service, cast(id as varchar) as person_id, joined_at as occurred_at, 'SCL' as source,
        'MEMBER_CREATED' as event_type, 'Member' as table_name, cast(id as varchar) as record_id,
        cast(null as bigint) as amount_cents, cast(null as varchar) as counts_as,
        'Joined' || coalesce(' as ' || membership_tier, '') as summary,
        cast(to_json({membership_tier: membership_tier}) as varchar) as details
    from scl_member
    union all
    select tenant_id, 'SCL', cast(member_id as varchar), changed_at, 'SCL', 'TIER_CHANGED', 'TierChange', id, null,
        null, 'Moved ' || coalesce('from ' || from_tier || ' ', '') || 'to ' || to_tier,
        cast(to_json({from_tier: from_tier, to_tier: to_tier}) as varchar)
    from scl_tier_change
    union all
    select tenant_id, 'SCL', cast(member_id as varchar), paid_at, 'SCL',
        case kind when 'REFUND' then 'REFUND' else 'PAYMENT' end, 'Payment', id,
        case kind when 'REFUND' then -amount_cents else amount_cents end,
        case when kind = 'PAYMENT' and amount_cents > 0 then 'PAYMENT' end,
        case kind when 'REFUND' then 'Refunded ' else 'Paid ' end
            || printf('%s %.2f', currency, amount_cents / 100.0) || coalesce(': ' || description, ''),
        cast(to_json({refund_of_id: refund_of_id, booking_id: booking_id, description: description}) as varchar)
    from scl_payment where status = 'SETTLED'
    union all
    select tenant_id, 'TEETIME', player_id, booked_at, 'TEETIME', 'BOOKING_MADE', 'Booking', id, null,
        case when b.status = 'PLAYED' and tee_time_at <= as_of() + clock_tolerance() then 'PLAYED_BOOKING'
            when b.status <> 'CANCELLED' then 'BOOKED' end,
        'Booked a tee time on ' || strftime(timezone(timezone, tee_time_at), '%-d %b %Y %H:%M')
            || ' for ' || players,
        cast(to_json({tee_time_at: tee_time_at, course_id: course_id, players: players,
                      price_cents: price_cents}) as varchar)
    from teetime_booking b join tenants using (tenant_id)
    union all
    select tenant_id, 'TEETIME', player_id, tee_time_at, 'TEETIME',
        case status when 'PLAYED' then 'ROUND_PLAYED' else 'BOOKING_NO_SHOW' end, 'Booking', id, null,
        case status when 'PLAYED' then 'ROUND_PLAYED' end,
        case status when 'PLAYED' then 'Played a round' else 'Did not show up for a tee time' end,
        cast(to_json({course_id: course_id, players: players}) as varchar)
    from teetime_booking where status in ('PLAYED', 'NO_SHOW')
    union all
    select tenant_id, 'TEETIME', player_id, cancelled_at, 'TEETIME', 'BOOKING_CANCELLED', 'Booking', id, null, null,
        'Cancelled a tee time', cast(to_json({tee_time_at: tee_time_at}) as varchar)
    from teetime_booking join first_cancelled using (tenant_id, id) where status = 'CANCELLED'
    union all
    select b.tenant_id, 'TEETIME', player_id, paid_at, 'TEETIME', 'PAYMENT', 'Booking', id, price_cents, 'PAYMENT',
        'Paid ' || printf('%s %.2f', tenants.currency, price_cents / 100.0) || ' for a tee time',
        cast(to_json({booking_id: id}) as varchar)
    from teetime_booking b join tenants using (tenant_id)
    anti join settled_bookings s on s.tenant_id = b.tenant_id and s.booking_id = b.id
    where b.status <> 'CANCELLED' and paid_at is not null and price_cents > 0
    union all
    select tenant_id, 'TEETIME', player_id, recorded_at, 'TEETIME', 'HANDICAP_UPDATED', 'HandicapUpdate', id, null,
        'HANDICAP_UPDATE', 'Handicap ' || handicap || coalesce(' (was ' || previous_handicap || ')', ''),
        cast(to_json({handicap: handicap, previous_handicap: previous_handicap}) as varchar)
    from teetime_handicap_update
    union all
    select tenant_id, 'TEETIME', player_id, entered_at, 'TEETIME', 'COMPETITION_ENTERED', 'CompetitionEntry', id, null,
        case when played_at is null or played_at > as_of() then 'COMPETITION' end, 'Entered ' || competition,
        cast(to_json({competition: competition}) as varchar)
    from teetime_competition_entry
    union all
    select tenant_id, 'TEETIME', player_id, played_at, 'TEETIME', 'COMPETITION_PLAYED', 'CompetitionEntry', id, null,
        'COMPETITION', 'Played ' || competition || coalesce(', position ' || position, ''),
        cast(to_json({competition: competition, position: position, score: score}) as varchar)
    from teetime_competition_entry where played_at <= as_of()
    union all
    select e.tenant_id, 'MESSAGING', contact_id, occurred_at, 'MESSAGING',
        'MESSAGE_' || kind, 'MessageEvent', e.id, null,
        case when kind = 'CLICKED' then 'CLICK' when first_opens.id is not null then 'OPEN' end,
        case kind when 'SENT' then 'Was sent ' when 'OPENED' then 'Opened ' else 'Clicked in ' end
            || case channel when 'SMS' then 'an SMS' when 'EMAIL' then 'an email' when 'PUSH' then 'a push message'
               else 'a WhatsApp message' end || case when is_machine_open then ' (by a machine)' else '' end,
        cast(to_json({message_id: message_id, campaign_id: campaign_id, channel: channel,
                      is_machine_open: is_machine_open, url: url}) as varchar)
    from messaging_message_event e
    left join first_opens on first_opens.tenant_id = e.tenant_id and first_opens.id = e.id
    union all
    select tenant_id, 'CRM', id, created_at, 'CRM', 'LEAD_CREATED', 'Lead', id, null, null,
        'Became a lead' || coalesce(' through ' || origin, ''), cast(to_json({origin: origin}) as varchar)
    from crm_lead
),

crm_events as (
    select tenant_id, profile_id, created_at as occurred_at, 'NOTE_ADDED' as event_type, 'Note' as table_name,
        id as record_id, cast(null as varchar) as counts_as,
        'Note: ' || left(replace(body, chr(10), ' '), 120) as summary,
        cast(to_json({author_id: author_id, body: body}) as varchar) as details
    from crm_note
    union all
    select tenant_id, profile_id, added_at, 'TAG_ADDED', 'ProfileTag', id, null, 'Tagged ' || tag,
        cast(to_json({tag: tag}) as varchar)
    from crm_profile_tag
    union all
    select tenant_id, profile_id, removed_at, 'TAG_REMOVED', 'ProfileTag', id, null, 'Tag ' || tag || ' taken off',
        cast(to_json({tag: tag}) as varchar)
    from crm_profile_tag where removed_at is not null
    union all
    select tenant_id, profile_id, occurred_at,
        case kind when 'RESPONDED' then 'CAMPAIGN_RESPONDED' when 'ENQUIRED' then 'ENQUIRY' else kind end,
        'CampaignInteraction', id, case kind when 'RESPONDED' then 'CAMPAIGN_RESPONSE' end,
        case kind when 'RESPONDED' then 'Responded to a campaign' when 'ENQUIRED' then 'Made an enquiry'
            when 'FORM_SUBMITTED' then 'Submitted a form' else 'Unsubscribed' end,
        cast(to_json({campaign_id: campaign_id}) as varchar)
    from crm_campaign_interaction
    union all
    select r.tenant_id, referrer_profile_id, occurred_at, 'REFERRAL', 'Referral', id, null, 'Referred another customer',
        cast(to_json({referred_profile_id: referred.target}) as varchar)
    from crm_referral r
    join profile_targets referred
        on referred.tenant_id = r.tenant_id and referred.profile_id = r.referred_profile_id
    union all
    select tenant_id, service_record_id, occurred_at, 'STAGE_CHANGED', 'CustomerProfile', service_record_id, null,
        summary, details
    from past_stage_changes
),

events as (
    select r.* exclude (service, person_id), i.profile_id
    from record_events r
    join customer_identities i
        on i.tenant_id = r.tenant_id and i.service = r.service and i.service_record_id = r.person_id
    union all by name
    select p.* replace (targets.target as profile_id), 'CRM' as source, cast(null as bigint) as amount_cents
    from crm_events p
    join profile_targets targets on targets.tenant_id = p.tenant_id and targets.profile_id = p.profile_id
)

select tenant_id,
    source || ':' || table_name || ':' || record_id || ':' || event_type
        || case event_type when 'STAGE_CHANGED' then ':' || epoch_us(occurred_at) else '' end as event_id,
    profile_id, least(occurred_at, as_of()) as occurred_at, source, event_type, record_id as service_record_id,
    counts_as, amount_cents, case when amount_cents is not null then currency end as currency,
    left(summary, 300) as summary, details, occurred_at > as_of() + clock_tolerance() as is_future
from events join tenants using (tenant_id)
where occurred_at is not null
