-- Returns the reviews that are open now, in the columns of identity_reviews without the times.
-- Reads: review_candidates (tenant_id, kind, rule, confidence, cannot_link, service_a, record_id_a, service_b,
-- record_id_b and the witness as witness_service_a .. witness_record_id_b), sharing_records (every record with a
-- shared value: tenant_id, kind, value, service, record_id, node), $max_sharing_records and $max_shown_records.
with candidates as (
    select *,
        witness_service_a || ' ' || witness_record_id_a || ' and ' || witness_service_b || ' ' || witness_record_id_b
            || case cannot_link
                when 'AUTH_USER_ID' then ' (different auth_user_ids)'
                when 'NEVER' then ' (an operator''s NEVER)'
                else ' (two records of one service)'
            end as cannot_link_pair,
        if(kind = 'AMBIGUOUS', 'ALWAYS', 'NEVER') as decision
    from review_candidates
),
pair_reviews as (
    select tenant_id, kind, concat_ws('|', service_a, record_id_a, service_b, record_id_b) as subject,
        service_a, record_id_a, service_b, record_id_b,
        case kind
            when 'AMBIGUOUS' then 'They match by ' || rule || ', but one of them matches another person as well: '
                || cannot_link_pair || ' cannot be one, and first names do not decide.'
                || ' ALWAYS joins these two, NEVER keeps them apart.'
            when 'CONFLICT' then 'They match by ' || rule
                || ', but joining everybody who matches would make one person of '
                || cannot_link_pair || ', so nobody was joined. NEVER for a wrong match frees the others.'
            when 'NAMES_DIFFER' then 'They were joined by ' || rule
                || ', and their first names differ. NEVER parts them, ALWAYS confirms them.'
            else 'The ALWAYS of an operator was refused, for they cannot be one person'
                || if(cannot_link = 'NEVER', ': there is a NEVER as well. Withdraw one of the two.',
                    ': they have different auth_user_ids. NEVER in its place settles it.')
        end as reason,
        if(kind = 'NAMES_DIFFER',
            to_json({rule: rule, confidence: confidence}),
            to_json({rule: rule, confidence: confidence, cannot_link: cannot_link, service_a: witness_service_a,
                record_id_a: witness_record_id_a, service_b: witness_service_b, record_id_b: witness_record_id_b})
        ) as witness,
        to_json({"tenantId": tenant_id, "serviceA": service_a, "recordIdA": record_id_a, "serviceB": service_b,
            "recordIdB": record_id_b, decision: decision}) as settled_by
    from candidates
),
counted_records as (
    select *, count(*) over (partition by tenant_id, kind, value, service) > $max_sharing_records as is_over_limit
    from sharing_records
),
shared_values as (
    select tenant_id, kind, value, count(*) as records,
        list({service: service, record_id: record_id} order by node) as all_records,
        list({service: service, record_id: record_id} order by node) filter (where is_over_limit) as over_limit_records
    from counted_records
    group by all
),
value_reviews as (
    select tenant_id, 'SHARED' as kind, concat_ws('|', kind, value) as subject,
        null as service_a, null as record_id_a, null as service_b, null as record_id_b,
        records || ' records carry one '
            || case kind when 'EMAIL' then 'email address' when 'PHONE' then 'phone number' else 'auth_user_id' end
            || ', ' || len(over_limit_records) || ' of them in services where more than ' || $max_sharing_records
            || ' do. It is no evidence of who somebody is.'
            || if(kind = 'AUTH_USER_ID', ' A decision about two of them settles it.', ' Suppressing it confirms that.')
            as reason,
        to_json({kind: kind, value: value, records: records, first_records: all_records[:$max_shown_records]})
            as witness,
        if(kind = 'AUTH_USER_ID',
            to_json({"tenantId": tenant_id, "serviceA": over_limit_records[1].service,
                "recordIdA": over_limit_records[1].record_id, "serviceB": over_limit_records[2].service,
                "recordIdB": over_limit_records[2].record_id, decision: 'NEVER'}),
            to_json({"tenantId": tenant_id, kind: kind, value: value})) as settled_by
    from shared_values
)
select * exclude (subject) replace (cast(witness as varchar) as witness, cast(settled_by as varchar) as settled_by),
    left(sha256(concat_ws('|', tenant_id, kind, subject)), 24) as review_id
from (from pair_reviews union all by name from value_reviews)
