-- One row per profile that has events: counts, money, visits, decayed sums and habits, in one pass over the timeline.
-- reads: customer_timeline, engagement_weights (counts_as, habit, weight, half_life_days), tenants
-- creates: activity
-- Macros: as_of(), clock_tolerance(), recent_window(), stored_sum().
-- Windows are exact; ages are whole tenant-local calendar days, negative for days to come.
-- A booking still BOOKED when its local day is over is a round, and a visit if it was paid. A payment for a booking
-- gives its money to the day of the visit; where none came of it, it has no visit_at.

with aged as (
    select t.tenant_id, profile_id, event_type, t.counts_as, visit_kind, visit_at, occurred_at, amount_cents, habit,
        cast(timezone(timezone, as_of()) as date) as today,
        date_diff('day', cast(timezone(timezone, occurred_at) as date), today) as age,
        case when visit_at is not null
            then date_diff('day', cast(timezone(timezone, visit_at) as date), today) end as tee_age,
        visit_kind in ('BOOKED', 'BOOKED_PAID') and tee_age > 0 as is_past_booking,
        visit_kind in ('BOOKED', 'BOOKED_PAID') and tee_age between -365 and 0 as is_planned,
        visit_kind = 'BOOKING_PAYMENT' and visit_at <= as_of() as is_visit_payment,
        -- Whole numbers: a sum of them is the same in any order.
        cast(1e12 * weight * pow(2.0, -age / half_life_days) as bigint) as decayed,
        occurred_at > as_of() - recent_window() as is_recent,
        t.counts_as is not null and t.counts_as not in ('OPEN', 'PLAYED_BOOKING') as is_activity
    from customer_timeline t
    join tenants using (tenant_id)
    left join engagement_weights w on w.counts_as = t.counts_as
),

visited as (
    select *,
        case when t.counts_as = 'ROUND_PLAYED' then age when is_past_booking then tee_age end as round_age,
        case when t.counts_as = 'ROUND_PLAYED' or visit_kind = 'VISIT' then age
            when is_past_booking and visit_kind = 'BOOKED_PAID' then tee_age end as visit_age,
        case when t.counts_as = 'ROUND_PLAYED' or visit_kind = 'VISIT' then occurred_at
            when visit_age is not null then visit_at end as visited_at
    from aged t
)

select tenant_id, profile_id,
    max(occurred_at) filter (is_activity) as last_activity_at,
    min(age) filter (is_activity) as last_activity_age,
    count(*) filter (is_activity and is_recent) as activity_count_30d,
    count(*) filter (is_recent and counts_as in ('BOOKED', 'PLAYED_BOOKING')) as booking_count_30d,
    stored_sum(sum(amount_cents)) as net_value,
    coalesce(sum(decayed) filter (habit = 'play'), 0) / 1e12 as play,
    coalesce(sum(decayed) filter (habit = 'spend'), 0) / 1e12 as spend,
    coalesce(sum(decayed) filter (habit = 'message'), 0) / 1e12 as message,
    greatest(max(occurred_at) filter (counts_as = 'PAYMENT'), max(visited_at)) as last_transaction_at,
    least(min(age) filter (counts_as = 'PAYMENT'), min(visit_age)) as last_transaction_age,
    least(min(age) filter (counts_as = 'PAYMENT' and visit_kind <> 'FEE'), min(visit_age)) as last_non_fee_age,
    max(visited_at) as last_visit_at,
    max(visit_age) as first_visit_age,
    min(visit_age) as last_visit_age,
    count(distinct visit_age) as visit_days,
    stored_sum(sum(amount_cents) filter (visit_kind = 'VISIT' or is_visit_payment)) as visit_value,
    max(tee_age) filter (is_planned) as next_visit_age,
    coalesce(bool_or(is_planned and visit_kind = 'BOOKED_PAID'), false) as has_paid_plan,
    count(round_age) as visited_bookings,
    count(*) filter (event_type = 'BOOKING_NO_SHOW'
        or visit_kind = 'CANCELLED' and visit_at <= as_of() + clock_tolerance()) as missed_bookings,
    min(case when counts_as = 'COMPETITION' and (event_type = 'COMPETITION_PLAYED' or age > 1) then age
        else round_age end) as last_play_age,
    count(*) filter (round_age < 90) as rounds_90d,
    count(*) filter (round_age between 365 and 454) as rounds_90d_last_year,
    min(age) filter (event_type = 'COMPETITION_ENTERED') as last_entry_age,
    count(*) filter (event_type = 'COMPETITION_ENTERED' and age between 181 and 545) as entries_before,
    min(age) filter (counts_as = 'CLICK') as last_click_age,
    count(*) filter (counts_as = 'CLICK' and age between 90 and 454) as clicks_before,
    bool_or(counts_as in ('CLICK', 'CAMPAIGN_RESPONSE') and age <= 180) as is_engaged,
    bool_or((event_type in ('LEAD_CREATED', 'ENQUIRY', 'FORM_SUBMITTED') and age <= 730) or counts_as = 'BOOKED'
        or event_type in ('HANDICAP_UPDATED', 'COMPETITION_ENTERED')) as is_interested
from visited group by tenant_id, profile_id
