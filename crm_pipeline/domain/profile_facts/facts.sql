-- One row per profile: everything its scores, stage and status are computed from.
-- reads: golden_record, activity, scl_payment, customer_timeline, tenants
-- creates: facts
-- A notice recorded up to 5 minutes after as_of() comes from a fast clock and counts, as on the timeline.
-- Ages are whole tenant-local calendar days; a flag named like a term of crm_pipeline.domain.churn.renewal
-- is that term. The terms of play are found from last_play_on and idle_since, by the club's clock.

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
        cast(timezone(timezone, player_since) as date) as player_since_on,
        -- Who joins later is not yet a member.
        case when joined_at > as_of() then 'PENDING' else membership_status end as contract_status,
        contract_status is not null and contract_status not in ('PENDING', 'LAPSED')
            and (contract_status <> 'RESIGNED' or coalesce(ended_at > as_of(), false)) as has_contract,
        contract_status in ('LAPSED', 'RESIGNED') and not has_contract as had_contract,
        contract_status is distinct from 'SUSPENDED' as may_play,
        today - cast(timezone(timezone, coalesce(ended_at, first_ended_at)) as date) as ended_age,
        today - coalesce(cast(timezone(timezone, earliest_due_at) as date), renews_on, today) as overdue_days,
        last_transaction_at is not null as has_transacted, coalesce(visit_days, 0) > 0 as has_visited,
        next_visit_age is not null as has_plan, rewarded.profile_id is not null as has_referred
    from golden_record g
    join tenants using (tenant_id)
    left join activity a on a.tenant_id = g.tenant_id and a.profile_id = g.id
    left join dues on dues.tenant_id = g.tenant_id and dues.member_id = g.scl_member_id
    left join rewarded on rewarded.tenant_id = g.tenant_id and rewarded.profile_id = g.id
),

staged as (
    select *,
        case
            when has_contract then 'MEMBER'
            when not has_plan and last_transaction_age > 365 then 'CHURNED'
            when not has_plan and had_contract and ended_age > 30
                and coalesce(last_non_fee_age > ended_age, true) then 'CHURNED'
            when has_transacted or coalesce(has_paid_plan, false) or (had_contract and ended_age <= 30) then 'CUSTOMER'
            when is_engaged then 'PROSPECT'
            when is_interested or contract_status = 'PENDING' then 'LEAD'
            else 'SUBSCRIBER'
        end as own_stage
    from dated
)

select * replace (
        coalesce(activity_count_30d, 0) as activity_count_30d, coalesce(booking_count_30d, 0) as booking_count_30d,
        coalesce(net_value, 0) as net_value),
    has_contract and (contract_status = 'RESIGNED' or notice_given_at <= as_of() + clock_tolerance()) as gave_notice,
    has_plan and not has_contract and not has_visited and (has_transacted or had_contract) as is_expected,
    1 - (coalesce(visited_bookings, 0) + 9.0) / (coalesce(visited_bookings, 0) + coalesce(missed_bookings, 0) + 10.0)
        as no_show_risk,
    greatest(1, case when renews_on is null then date_sub('year', joined_on, today) + 1
        else cast(round((renews_on - joined_on) / 365.25) as bigint) end) as renewal_number,
    contract_status = 'OVERDUE' and overdue_days <= 30 as overdue_1_30,
    contract_status = 'OVERDUE' and overdue_days between 31 and 60 as overdue_31_60,
    contract_status = 'OVERDUE' and overdue_days > 60 as overdue_over_60,
    case when may_play then today - cast(last_play_age as integer) end as last_play_on,
    case when may_play and last_play_age is null and player_since_on is not null
        then greatest(joined_on, player_since_on) end as idle_since,
    may_play and rounds_90d_last_year >= 4 and rounds_90d < rounds_90d_last_year / 2 as play_rate_dropped,
    may_play and entries_before > 0 and last_entry_age > 180 as no_competition_180,
    clicks_before > 0 and last_click_age >= 90 as no_click_90,
    contract_status = 'SUSPENDED' as suspended,
    case when own_stage in ('MEMBER', 'CUSTOMER') and has_referred then 'ADVOCATE' else own_stage end as lifecycle_stage
from staged
