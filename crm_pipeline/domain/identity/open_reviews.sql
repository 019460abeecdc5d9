-- The reviews that are open now, in the columns of identity_reviews without the times.
-- reads: review_candidates (tenant_id, kind, rule, confidence, cannot_link, service_a, record_id_a, service_b,
--     record_id_b and the witness as witness_service_a .. witness_record_id_b), sharing_records (every record with a
--     shared value: tenant_id, kind, value, service, record_id, node, and whether it is one of three that differ
--     pairwise where that makes the value shared), ineffective_decisions (see ineffective_decisions.sql)
-- creates: open_reviews
-- Parameters: $max_sharing_records, $max_shown_records and $max_shown_faults.
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
        list({service: service, record_id: record_id} order by node) filter (where is_over_limit) as over_limit_records,
        list({service: service, record_id: record_id} order by node) filter (where differs) as differing_records,
        -- The two that a decision about a login is asked for.
        coalesce(over_limit_records, differing_records)[:2] as two_records
    from counted_records
    group by all
),
value_reviews as (
    select tenant_id, 'SHARED' as kind, concat_ws('|', kind, value) as subject,
        null as service_a, null as record_id_a, null as service_b, null as record_id_b,
        records || ' records carry one '
            || case kind when 'EMAIL' then 'email address' when 'PHONE' then 'phone number' else 'auth_user_id' end
            || if(over_limit_records is null,
                ', three of which are three people by first name, email and phone: '
                    || array_to_string([r.service || ' ' || r.record_id for r in differing_records], ', '),
                ', ' || len(over_limit_records) || ' of them in services where more than ' || $max_sharing_records
                    || ' do')
            || '. It is no evidence of who somebody is.'
            || if(kind = 'AUTH_USER_ID', ' A decision about two of them settles it: ALWAYS where they are one person,'
                || ' NEVER where they are not.', ' Suppressing it confirms that.')
            as reason,
        if(differing_records is null,
            to_json({kind: kind, value: value, records: records, first_records: all_records[:$max_shown_records]}),
            to_json({kind: kind, value: value, records: records, first_records: all_records[:$max_shown_records],
                differing_records: differing_records})) as witness,
        if(kind = 'AUTH_USER_ID',
            to_json([{"tenantId": tenant_id, "serviceA": two_records[1].service,
                "recordIdA": two_records[1].record_id, "serviceB": two_records[2].service,
                "recordIdB": two_records[2].record_id, decision: decision} for decision in ['ALWAYS', 'NEVER']]),
            to_json({"tenantId": tenant_id, kind: kind, value: value})) as settled_by
    from shared_values
),
reviewed_records as (
    select tenant_id, kind, subject, service_a as service, record_id_a as record_id from pair_reviews
    union all
    select tenant_id, kind, subject, service_b, record_id_b from pair_reviews
    union all
    select tenant_id, 'SHARED', concat_ws('|', kind, value), service, record_id
    from sharing_records where kind = 'AUTH_USER_ID'
),
decisions_about_reviews as (
    select r.tenant_id, r.kind, r.subject, d.table_name, d.column_name, d.reason
    from ineffective_decisions d
    join reviewed_records r on r.tenant_id = d.tenant_id and r.service = d.service_a and r.record_id = d.record_id_a
    union
    select r.tenant_id, r.kind, r.subject, d.table_name, d.column_name, d.reason
    from ineffective_decisions d
    join reviewed_records r on r.tenant_id = d.tenant_id and r.service = d.service_b and r.record_id = d.record_id_b
    union
    select v.tenant_id, 'SHARED', concat_ws('|', v.kind, v.value), d.table_name, d.column_name, d.reason
    from ineffective_decisions d
    join shared_values v on v.tenant_id = d.tenant_id and v.kind = d.kind and v.value glob d.pattern
),
notes as (
    select tenant_id, kind, subject, array_to_string(list(sentence order by sentence)[:$max_shown_faults], ' ') as note
    from (
        select distinct tenant_id, kind, subject,
            'A row of ' || table_name || ' about this has no effect: its ' || column_name || case reason
                when 'ORPHAN' then ' names a record that is absent or set aside.'
                when 'NO_EFFECT' then ' names the same record again.'
                when 'INVALID_EMAIL' then ' is no email address.'
                when 'INVALID_PHONE' then ' is no phone number.'
                else ' is set aside as ' || reason || '.'
            end as sentence
        from decisions_about_reviews)
    group by all
)
select * exclude (subject, note) replace (
        reason || coalesce(' ' || note, '') as reason,
        cast(if(note is null, witness, json_merge_patch(witness, to_json({ineffective_decision: note}))) as varchar)
            as witness,
        cast(settled_by as varchar) as settled_by),
    left(sha256(concat_ws('|', tenant_id, kind, subject)), 24) as review_id
from (from pair_reviews union all by name from value_reviews) left join notes using (tenant_id, kind, subject)
