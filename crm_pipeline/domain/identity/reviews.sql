-- The rows of identity_reviews after the run at $as_of: those that apply now are open, the others closed.
-- reads: open_reviews (tenant_id, review_id, kind, service_a .. settled_by), previous_reviews (rows of
--     identity_reviews), tenants (tenant_id)
-- creates: rows (the columns of identity_reviews)
select coalesce(o.tenant_id, p.tenant_id) as tenant_id,
    coalesce(o.review_id, p.review_id) as review_id,
    if(o.review_id is null, p.kind, o.kind) as kind,
    if(o.review_id is null, p.service_a, o.service_a) as service_a,
    if(o.review_id is null, p.record_id_a, o.record_id_a) as record_id_a,
    if(o.review_id is null, p.service_b, o.service_b) as service_b,
    if(o.review_id is null, p.record_id_b, o.record_id_b) as record_id_b,
    if(o.review_id is null, p.reason, o.reason) as reason,
    if(o.review_id is null, p.witness, o.witness) as witness,
    if(o.review_id is null, p.settled_by, o.settled_by) as settled_by,
    if(p.review_id is null or (o.review_id is not null and p.closed_at is not null), $as_of::timestamptz, p.opened_at)
        as opened_at,
    if(o.review_id is null, coalesce(p.closed_at, $as_of::timestamptz), null) as closed_at
from open_reviews o
full join (from previous_reviews semi join tenants using (tenant_id)) p
    on p.tenant_id = o.tenant_id and p.review_id = o.review_id
order by all
