-- The CustomerProfile rows: facts joined with scores, with the columns computed from both.
-- reads: facts, scores (one row per profile each)
-- creates: profiles

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
        when churn_basis = 'TRANSACTIONAL' and next_visit_on is null then to_json({
            last_visit_days: last_visit_age, usual_gap_days: usual_gap, words: visit_words})
        when churn_basis = 'TRANSACTIONAL' then to_json({
            last_visit_days: last_visit_age, usual_gap_days: usual_gap, next_visit_on: next_visit_on,
            words: visit_words || ', next booked for ' || strftime(next_visit_on, '%-d %b %Y')})
        when gave_notice then to_json([{term: 'notice', log_odds: null::double,
            words: case when notice_given_at is null then 'Resigned' else 'Gave notice' end}])
        when churn_basis = 'MEMBER' and not has_contract
            then to_json([{term: 'ended', log_odds: null::double, words: 'Membership ended, nothing since'}])
        when churn_basis = 'MEMBER' then to_json(member_terms)
    end as varchar) as churn_reasons,
    as_of() as updated_at
from (
    select *, (first_visit_age - last_visit_age) / nullif(visit_days - 1, 0) as usual_gap,
        today - cast(next_visit_age as integer) as next_visit_on,
        case when last_visit_age is null then 'No visit yet' else 'Last visit ' || case last_visit_age
                when 0 then 'today' when 1 then 'yesterday' else last_visit_age || ' days ago' end
            || case when usual_gap is null then ', the only one so far' else ', usually comes about every ' || case
                when usual_gap < 1.5 then 'day'
                when usual_gap < 14 then cast(floor(usual_gap + 0.5) as bigint) || ' days'
                when usual_gap < 60 then cast(floor(usual_gap / 7 + 0.5) as bigint) || ' weeks'
                else cast(floor(usual_gap / 30.4375 + 0.5) as bigint) || ' months' end end
        end as visit_words
    from facts
) f
join scores s using (tenant_id, id)
