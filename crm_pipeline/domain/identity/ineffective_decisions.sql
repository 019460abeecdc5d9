-- Every fault because of which a decision of an operator has no effect, with what the decision is about.
-- reads: crm_identity_override_validated, suppressed_identifiers (faulty rows too), tenants, people
-- creates: ineffective_decisions
-- Columns: tenant_id, table_name, id, column_name, reason; is_found_here (false where validation found it); of an
-- override service_a, record_id_a, service_b and record_id_b; of a suppressed identifier kind and pattern: the shared
-- values that it may be meant for.
with overrides as (
    select tenant_id, 'IdentityOverride' as table_name, id, service_a, record_id_a, service_b, record_id_b, _problems
    from crm_identity_override_validated semi join tenants using (tenant_id)
),
suppressions as (
    select tenant_id, 'SuppressedIdentifier' as table_name, id, if(contains(entered, '@'), 'EMAIL', 'PHONE') as kind,
        if(regexp_matches(entered, $wildcards), replace(lower(trim(entered)), '%', '*'), coalesce(email, phone_number))
            as pattern,
        if(suppressed_identifiers.kind = 'EMAIL', 'INVALID_EMAIL', 'INVALID_PHONE') as reason, value, _problems
    from suppressed_identifiers
),
faulty_overrides as (
    select * exclude (problem, _problems), split_part(problem, ':', 1) as column_name,
        split_part(problem, ':', 2) as reason, false as is_found_here
    from (select *, unnest(_problems) as problem from overrides)
    union all by name
    select o.* exclude (_problems), 'recordIdA' as column_name, 'ORPHAN' as reason, true as is_found_here
    from overrides o
    anti join people p on p.tenant_id = o.tenant_id and p.service = o.service_a and p.record_id = o.record_id_a
    where len(_problems) = 0
    union all by name
    select o.* exclude (_problems), 'recordIdB' as column_name, 'ORPHAN' as reason, true as is_found_here
    from overrides o
    anti join people p on p.tenant_id = o.tenant_id and p.service = o.service_b and p.record_id = o.record_id_b
    where len(_problems) = 0
    union all by name
    select * exclude (_problems), 'recordIdB' as column_name, 'NO_EFFECT' as reason, true as is_found_here
    from overrides
    where len(_problems) = 0 and (service_a, record_id_a) = (service_b, record_id_b)
),
faulty_suppressions as (
    select * exclude (problem, _problems, value) replace (split_part(problem, ':', 2) as reason),
        split_part(problem, ':', 1) as column_name, false as is_found_here
    from (select *, unnest(_problems) as problem from suppressions)
    union all by name
    select * exclude (_problems, value), 'value' as column_name, true as is_found_here
    from suppressions
    where len(_problems) = 0 and value is null
)
from faulty_overrides union all by name from faulty_suppressions
