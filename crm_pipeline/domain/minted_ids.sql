-- New profile ids: uuid5 of a constant namespace and tenant|service|record|generation, in the order of `position`.
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
),
hashes as (
    select *, sha1(unhex($namespace) || encode(concat_ws('|', tenant_id, service, record_id, generation))) as hash
    from generations
)
select generation,
    concat_ws('-', hash[1:8], hash[9:12], '5' || hash[14:16],
        translate(hash[17], '0123456789abcdef', '89ab89ab89ab89ab') || hash[18:20], hash[21:32]) as profile_id
from hashes
order by position
