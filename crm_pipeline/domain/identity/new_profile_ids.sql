-- Generation and hash of each new profile id, by position: SHA-1 of a constant namespace, $namespace, as hex, and
-- tenant|service|record|generation, as in uuid5.
-- reads: new_anchors (tenant_id, service, record_id, position), previous_ids (rows of profile_ids)
-- creates: rows (generation, hash)
with earlier_ids as (
    select tenant_id, minted_service, minted_record_id, count(*) as id_count
    from previous_ids
    group by all
),
generations as (
    select a.*, coalesce(earlier_ids.id_count, 0) as generation
    from new_anchors a
    left join earlier_ids on earlier_ids.tenant_id = a.tenant_id and earlier_ids.minted_service = a.service
        and earlier_ids.minted_record_id = a.record_id
)
select generation, sha1(unhex($namespace) || encode(concat_ws('|', tenant_id, service, record_id, generation))) as hash
from generations
order by position
