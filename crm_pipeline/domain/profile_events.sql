-- Events in their declared columns. Reads: transitions (tenant_id, profile_id, event_type, other_profile_id, reason),
-- $as_of and $run_id.
select tenant_id,
    left(sha256(concat_ws('|', profile_id, event_type, epoch_us($as_of::timestamptz), coalesce(other_profile_id, ''))), 24)
        as event_id,
    profile_id, event_type, other_profile_id, $as_of::timestamptz as occurred_at, $run_id::varchar as run_id, reason
from transitions
order by tenant_id, event_id
