-- Returns the event_id of each transition, by position.
-- Reads: id_transitions (profile_id, event_type, other_profile_id, position) and $as_of.
select left(
    sha256(concat_ws('|', profile_id, event_type, epoch_us($as_of::timestamptz), coalesce(other_profile_id, ''))), 24
) as event_id
from id_transitions
order by position
