-- When each contract that ended at no known time ended: when it was first seen ended since it was last active.
-- reads: scl_member, scl_member_log (every version of its rows)
-- creates: ended_contracts

with versions as (
    select l.tenant_id, l.id, l.updated_at, l._version,
        l.membership_status in ('ACTIVE', 'OVERDUE', 'SUSPENDED')
            or (l.membership_status = 'RESIGNED' and coalesce(l.ended_at > l.updated_at, false)) as was_active
    from scl_member_log l
    join scl_member m on m.tenant_id = l.tenant_id and m.id = l.id and m.ended_at is null
        and m.membership_status in ('LAPSED', 'RESIGNED')
    where len(l._problems) = 0 and l.membership_status <> 'PENDING'
),

last_active as (
    select tenant_id, id, max(_version) as version from versions where was_active group by all
)

select tenant_id, id as scl_member_id, arg_min(updated_at, _version) as first_ended_at
from versions left join last_active using (tenant_id, id)
where _version > coalesce(last_active.version, -1) group by all
