-- One row per profile: everything its scores, stage and status are computed from.
-- Reads: golden_record, activity, scl_payment, customer_timeline, tenants, as_of(), clock_tolerance().
-- A notice recorded up to 5 minutes after as_of() comes from a fast clock and counts, as on the timeline.
-- Ages are whole tenant-local calendar days; a flag named like a term of crm_pipeline.domain.churn.renewal
-- is that term.

with dues as (
    select tenant_id, member_id, min(due_at) as earliest_due_at
    from scl_payment where kind = 'PAYMENT' and status <> 'SETTLED' and due_at <= as_of() group by all
),

rewarded as (
    select distinct r.tenant_id, r.profile_id
    from (select tenant_id, profile_id, occurred_at, details ->> 'referred_profile_id' as referred_id
          from customer_timeline where event_type = 'REFERRAL') r
    join tenants using (tenant_id)
    join activity a on a.tenant_id = r.tenant_id and a.profile_id = r.referred_id
    where r.referred_id <> r.profile_id and a.last_transaction_at >= r.occurred_at
        and date_diff('day',
            cast(timezone(timezone, r.occurred_at) as date), cast(timezone(timezone, as_of()) as date)) <= 730
),

dated as (
    select g.*, a.* exclude (tenant_id, profile_id), currency,
        cast(timezone(timezone, as_of()) as date) as today, cast(timezone(timezone, joined_at) as date) as joined_on,
        membership_status is not null and membership_status not in ('PENDING', 'LAPSED')
            and (membership_status <> 'RESIGNED' or coalesce(ended_at > as_of(), false)) as has_contract,
        membership_status in ('LAPSED', 'RESIGNED') and not has_contract as had_contract,
        today - cast(timezone(timezone, coalesce(ended_at, member_updated_at)) as date) as ended_age,
        today - coalesce(cast(timezone(timezone, earliest_due_at) as date), renews_on, today) as overdue_days,
        coalesce(transaction_days, 0) > 0 as has_transacted, rewarded.profile_id is not null as has_referred
    from golden_record g
    join tenants using (tenant_id)
    left join activity a on a.tenant_id = g.tenant_id and a.profile_id = g.id
    left join dues on dues.tenant_id = g.tenant_id and dues.member_id = g.scl_member_id
    left join rewarded on rewarded.tenant_id = g.tenant_id and rewarded.profile_id = g.id
)

select * replace (
        coalesce(activity_count_30d, 0) as activity_count_30d, coalesce(booking_count_30d, 0) as booking_count_30d,
        coalesce(net_value, 0) as net_value),
    has_contract and notice_given_at <= as_of() + clock_tolerance() as gave_notice,
    greatest(1, case when renews_on is null then date_sub('year', joined_on, today) + 1
        else cast(round((renews_on - joined_on) / 365.25) as bigint) end) as renewal_number,
    membership_status = 'OVERDUE' and overdue_days <= 30 as overdue_1_30,
    membership_status = 'OVERDUE' and overdue_days between 31 and 60 as overdue_31_60,
    membership_status = 'OVERDUE' and overdue_days > 60 as overdue_over_60,
    last_round_age >= 60 as no_play_60,
    rounds_90d_last_year >= 4 and rounds_90d < rounds_90d_last_year / 2 as play_rate_dropped,
    entries_before > 0 and last_entry_age > 180 as no_competition_180,
    clicks_before > 0 and last_click_age >= 90 as no_click_90,
    membership_status = 'SUSPENDED' as suspended,
    case
        when (has_contract or has_transacted or (had_contract and ended_age <= 30)) and has_referred then 'ADVOCATE'
        when has_contract then 'MEMBER'
        when last_transaction_age > 365 then 'CHURNED'
        when had_contract and ended_age > 30 and coalesce(last_transaction_age > ended_age, true) then 'CHURNED'
        when has_transacted or had_contract then 'CUSTOMER'
        when is_engaged then 'PROSPECT'
        when is_interested or membership_status = 'PENDING' then 'LEAD'
        else 'SUBSCRIBER'
    end as lifecycle_stage
from dated
