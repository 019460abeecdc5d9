-- What new profile ids are made of: SHA-1 of a constant namespace and tenant|service|record|generation, as uuid5 takes it,
-- in the order of `position`.
-- Reads: new_anchors (tenant_id, service, record_id, position), known_ids (profile_ids rows) and $namespace, as hex.
with former as (
    select tenant_id, minted_service, minted_record_id, count(*) as ids
    from known_ids
    group by all
),
generations as (
    select a.*, coalesce(former.ids, 0) as generation
    from new_anchors a
    left join former on former.tenant_id = a.tenant_id and former.minted_service = a.service
        and former.minted_record_id = a.record_id
)
select generation, sha1(unhex($namespace) || encode(concat_ws('|', tenant_id, service, record_id, generation))) as hash
from generations
order by position
