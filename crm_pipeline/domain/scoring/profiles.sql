-- The CustomerProfile rows: facts joined with scores, with the columns computed from both.
-- Reads: facts and scores (one row per profile each), and as_of().

select f.*, s.* exclude (tenant_id, id),
    greatest(0, net_value) as lifetime_value,
    case
        when lifecycle_stage = 'CHURNED' then 'CHURNED'
        when churn_risk_score >= 70 then 'AT_RISK'
        when has_contract or last_activity_age <= 90 then 'ACTIVE'
        else 'INACTIVE'
    end as status,
    cast(to_json({play: play_points, spend: spend_points, message: message_points, membership: membership_points,
        consent: consent_points}) as varchar) as engagement_reasons,
    cast(case
        when churn_basis = 'TRANSACTIONAL' then to_json({
            last_visit_days: last_transaction_age, usual_gap_days: usual_gap,
            words: 'Last visit ' || case last_transaction_age when 0 then 'today' when 1 then 'yesterday'
                    else last_transaction_age || ' days ago' end || coalesce(
                ', usually comes every ' || cast(round(usual_gap) as bigint) || ' days', ', the only one so far')})
        when gave_notice then to_json([{term: 'notice', log_odds: null::double, words: 'Gave notice'}])
        when churn_basis = 'MEMBER' and not has_contract
            then to_json([{term: 'ended', log_odds: null::double, words: 'Membership ended, nothing since'}])
        when churn_basis = 'MEMBER' then to_json(member_terms)
    end as varchar) as churn_reasons,
    as_of() as updated_at
from (
    select *, (first_transaction_age - last_transaction_age) / nullif(transaction_days - 1, 0) as usual_gap from facts
) f
join scores s using (tenant_id, id)
