-- One row per profile that has events: counts, money, decayed sums and habits, in one pass over the timeline.
-- Reads: customer_timeline, engagement_weights (counts_as, habit, weight, half_life_days), tenants, as_of(),
--        recent_window().
-- Windows are exact; ages are whole tenant-local calendar days.

with aged as (
    select t.tenant_id, profile_id, event_type, t.counts_as, occurred_at, amount_cents, habit,
        date_diff('day',
            cast(timezone(timezone, occurred_at) as date), cast(timezone(timezone, as_of()) as date)) as age,
        -- Whole numbers: a sum of them is the same in any order.
        cast(1e12 * weight * pow(2.0, -age / half_life_days) as bigint) as decayed,
        occurred_at > as_of() - recent_window() as is_recent,
        t.counts_as is not null and t.counts_as not in ('OPEN', 'PLAYED_BOOKING') as is_activity,
        t.counts_as in ('PAYMENT', 'ROUND_PLAYED') as is_transaction
    from customer_timeline t
    join tenants using (tenant_id)
    left join engagement_weights w on w.counts_as = t.counts_as
)

select tenant_id, profile_id,
    max(occurred_at) filter (is_activity) as last_activity_at,
    min(age) filter (is_activity) as last_activity_age,
    count(*) filter (is_activity and is_recent) as activity_count_30d,
    count(*) filter (is_recent and counts_as in ('BOOKED', 'PLAYED_BOOKING')) as booking_count_30d,
    cast(coalesce(sum(amount_cents), 0) as bigint) as net_value,
    cast(coalesce(sum(amount_cents) filter (is_transaction), 0) as bigint) as paid_value,
    coalesce(sum(decayed) filter (habit = 'play'), 0) / 1e12 as play,
    coalesce(sum(decayed) filter (habit = 'spend'), 0) / 1e12 as spend,
    coalesce(sum(decayed) filter (habit = 'message'), 0) / 1e12 as message,
    max(occurred_at) filter (is_transaction) as last_transaction_at,
    max(age) filter (is_transaction) as first_transaction_age,
    min(age) filter (is_transaction) as last_transaction_age,
    count(distinct age) filter (is_transaction) as transaction_days,
    min(age) filter (counts_as = 'ROUND_PLAYED') as last_round_age,
    count(*) filter (counts_as = 'ROUND_PLAYED' and age < 90) as rounds_90d,
    count(*) filter (counts_as = 'ROUND_PLAYED' and age between 365 and 454) as rounds_90d_last_year,
    min(age) filter (event_type = 'COMPETITION_ENTERED') as last_entry_age,
    count(*) filter (event_type = 'COMPETITION_ENTERED' and age between 181 and 545) as entries_before,
    min(age) filter (counts_as = 'CLICK') as last_click_age,
    count(*) filter (counts_as = 'CLICK' and age between 90 and 454) as clicks_before,
    bool_or(counts_as in ('CLICK', 'CAMPAIGN_RESPONSE') and age <= 180) as is_engaged,
    bool_or((event_type in ('LEAD_CREATED', 'ENQUIRY', 'FORM_SUBMITTED') and age <= 730) or counts_as = 'BOOKED'
        or event_type in ('HANDICAP_UPDATED', 'COMPETITION_ENTERED')) as is_interested
from aged group by tenant_id, profile_id
