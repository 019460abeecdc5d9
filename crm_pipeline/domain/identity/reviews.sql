-- identity_reviews after this run: questions asked now are open, those no longer asked are closed, and the past is kept.
-- Reads: questions (tenant_id, review_id, kind, service_a .. settled_by), previous_reviews (identity_reviews rows),
-- tenants (tenant_id) and $as_of.
select coalesce(q.tenant_id, p.tenant_id) as tenant_id,
    coalesce(q.review_id, p.review_id) as review_id,
    if(q.review_id is null, p.kind, q.kind) as kind,
    if(q.review_id is null, p.service_a, q.service_a) as service_a,
    if(q.review_id is null, p.record_id_a, q.record_id_a) as record_id_a,
    if(q.review_id is null, p.service_b, q.service_b) as service_b,
    if(q.review_id is null, p.record_id_b, q.record_id_b) as record_id_b,
    if(q.review_id is null, p.reason, q.reason) as reason,
    if(q.review_id is null, p.witness, q.witness) as witness,
    if(q.review_id is null, p.settled_by, q.settled_by) as settled_by,
    if(p.review_id is null or (q.review_id is not null and p.closed_at is not null), $as_of::timestamptz, p.opened_at)
        as opened_at,
    if(q.review_id is null, coalesce(p.closed_at, $as_of::timestamptz), null) as closed_at
from questions q
full join (from previous_reviews semi join tenants using (tenant_id)) p
    on p.tenant_id = q.tenant_id and p.review_id = q.review_id
order by all
