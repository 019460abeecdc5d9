-- The canonical stream of events, one row per thing that happened, from the valid rows of every service.
-- reads: scl_member, scl_payment, scl_tier_change, teetime_booking, teetime_booking_log, teetime_competition_entry,
--     teetime_handicap_update, messaging_message_event, crm_campaign_interaction, crm_lead, crm_note, crm_profile_tag,
--     crm_referral, payment_bookings (the booking that a payment names), customer_identities, profile_targets, tenants,
--     past_stage_changes (the STAGE_CHANGED events so far)
-- creates: events
-- A recorded time up to 5 minutes after as_of() comes from a fast clock and becomes as_of(); a later one `is_future`.
-- counts_as says how an event enters counts and scores (crm_pipeline.vocabulary.CountsAs); null: it does not.
-- visit_kind and visit_at say what else is needed to count visits (crm_pipeline.vocabulary.VisitKind). A booking still
-- BOOKED when its local day is over is taken as visited: not every club marks rounds as played.

with bookings as not materialized (
    select b.*, timezone, tenants.currency as tenant_currency,
        case
            when b.status = 'PLAYED' and tee_time_at <= as_of() + clock_tolerance() then least(tee_time_at, as_of())
            when b.status = 'BOOKED' and booked_at <= as_of() + clock_tolerance()
                and cast(timezone(timezone, tee_time_at) as date) < cast(timezone(timezone, as_of()) as date)
                then tee_time_at
        end as visited_at
    from teetime_booking b join tenants using (tenant_id)
),

-- Settled payments for a booking there is. The money is the payer's; for a payer who is not the player it is no
-- booking's payment.
booking_payments as (
    select p.tenant_id, p.id, b.id as booking_id, p.amount_cents > 0 and p.paid_at <= as_of() + clock_tolerance() as is_paid,
        case when payer.profile_id = player.profile_id then 'BOOKING_PAYMENT' else 'VISIT' end as visit_kind,
        case when payer.profile_id = player.profile_id then b.visited_at end as visit_at
    from scl_payment p
    join payment_bookings n on n.tenant_id = p.tenant_id and n.id = p.id
    join bookings b on b.tenant_id = n.tenant_id and b.id = n.booking_id
    join customer_identities player on player.tenant_id = b.tenant_id and player.service = 'TEETIME'
        and player.service_record_id = b.player_id
    join customer_identities payer on payer.tenant_id = p.tenant_id and payer.service = 'SCL'
        and payer.service_record_id = cast(p.member_id as varchar)
    where p.status = 'SETTLED' and p.kind = 'PAYMENT'
),

settled_bookings as (
    select tenant_id, booking_id, bool_or(is_paid) as is_paid from booking_payments group by all
),

-- A fee rises from year to year, and is paid in parts.
payments as (
    select p.* replace (n.booking_id as booking_id), coalesce(b.visit_kind, case
            when due_at is not null or yearly_fee_cents > 0 and (
                least(abs(amount_cents - yearly_fee_cents), abs(amount_cents - yearly_fee_cents / 2.0),
                    abs(amount_cents - yearly_fee_cents / 4.0), abs(amount_cents - yearly_fee_cents / 12.0)) <= 1
                or 20.0 * abs(amount_cents - yearly_fee_cents) <= 3.0 * yearly_fee_cents) then 'FEE'
            else 'VISIT' end) as visit_kind,
        b.visit_at
    from scl_payment p
    join scl_member m on m.tenant_id = p.tenant_id and m.id = p.member_id
    left join payment_bookings n on n.tenant_id = p.tenant_id and n.id = p.id
    left join booking_payments b on b.tenant_id = p.tenant_id and b.id = p.id
    where status = 'SETTLED'
),

first_cancelled as (
    select tenant_id, id, min(updated_at) as cancelled_at
    from teetime_booking_log where status = 'CANCELLED' and len(_problems) = 0 group by all
),

-- Whichever of a profile's contacts opened it.
first_opens as (
    select e.tenant_id, arg_min(e.id, (occurred_at, e.id)) as id
    from messaging_message_event e
    join customer_identities i on i.tenant_id = e.tenant_id and i.service = 'MESSAGING'
        and i.service_record_id = e.contact_id
    where kind = 'OPENED' and not is_machine_open
    group by e.tenant_id, i.profile_id, message_id
),

visit_events as (
    select tenant_id, 'SCL' as service, cast(member_id as varchar) as person_id, paid_at as occurred_at,
        'SCL' as source, case kind when 'REFUND' then 'REFUND' else 'PAYMENT' end as event_type,
        'Payment' as table_name, id as record_id,
        case kind when 'REFUND' then -amount_cents else amount_cents end as amount_cents,
        case when kind = 'PAYMENT' and amount_cents > 0 then 'PAYMENT' end as counts_as,
        case kind when 'REFUND' then 'Refunded ' else 'Paid ' end
            || printf('%s %.2f', currency, amount_cents / 100.0) || coalesce(': ' || description, '') as summary,
        cast(to_json({refund_of_id: refund_of_id, booking_id: booking_id, description: description}) as varchar)
            as details,
        case when kind = 'PAYMENT' and amount_cents > 0 then visit_kind end as visit_kind,
        case when kind = 'PAYMENT' and amount_cents > 0 then visit_at end as visit_at
    from payments
    union all
    select b.tenant_id, 'TEETIME', player_id, booked_at, 'TEETIME', 'BOOKING_MADE', 'Booking', id, null,
        case when b.status = 'PLAYED' and tee_time_at <= as_of() + clock_tolerance() then 'PLAYED_BOOKING'
            when b.status <> 'CANCELLED' then 'BOOKED' end,
        'Booked a tee time on ' || strftime(timezone(timezone, tee_time_at), '%-d %b %Y %H:%M')
            || ' for ' || players,
        cast(to_json({tee_time_at: tee_time_at, course_id: course_id, players: players,
                      price_cents: price_cents}) as varchar),
        case when b.status = 'CANCELLED' then 'CANCELLED' when b.status = 'BOOKED' then
            case when s.is_paid or (price_cents > 0 and paid_at <= as_of() + clock_tolerance())
                then 'BOOKED_PAID' else 'BOOKED' end end,
        case when b.status in ('BOOKED', 'CANCELLED') then tee_time_at end
    from bookings b left join settled_bookings s on s.tenant_id = b.tenant_id and s.booking_id = b.id
    union all
    select b.tenant_id, 'TEETIME', player_id, paid_at, 'TEETIME', 'PAYMENT', 'Booking', id, price_cents, 'PAYMENT',
        'Paid ' || printf('%s %.2f', tenant_currency, price_cents / 100.0) || ' for a tee time',
        cast(to_json({booking_id: id}) as varchar), 'BOOKING_PAYMENT', visited_at
    from bookings b
    anti join settled_bookings s on s.tenant_id = b.tenant_id and s.booking_id = b.id
    where b.status <> 'CANCELLED' and paid_at is not null and price_cents > 0
),

record_events as (
    select tenant_id, 'SCL' as service, cast(id as varchar) as person_id, joined_at as occurred_at, 'SCL' as source,
        'MEMBER_CREATED' as event_type, 'Member' as table_name, cast(id as varchar) as record_id,
        cast(null as bigint) as amount_cents, cast(null as varchar) as counts_as,
        'Joined' || coalesce(' as ' || membership_tier, '') as summary,
        cast(to_json({membership_tier: membership_tier}) as varchar) as details
    from scl_member where joined_at <= as_of()
    union all
    select tenant_id, 'SCL', cast(member_id as varchar), changed_at, 'SCL', 'TIER_CHANGED', 'TierChange', id, null,
        null, 'Moved ' || coalesce('from ' || from_tier || ' ', '') || 'to ' || to_tier,
        cast(to_json({from_tier: from_tier, to_tier: to_tier}) as varchar)
    from scl_tier_change
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
    from (from record_events union all by name from visit_events) r
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
    left(summary, 300) as summary, details, occurred_at > as_of() + clock_tolerance() as is_future,
    visit_kind, visit_at
from events join tenants using (tenant_id)
where occurred_at is not null
