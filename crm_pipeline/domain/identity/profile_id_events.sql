-- The event_id of each transition at $as_of, by position.
-- reads: id_transitions (profile_id, event_type, other_profile_id, position)
-- creates: rows (event_id)
select left(
    sha256(concat_ws('|', profile_id, event_type, epoch_us($as_of::timestamptz), coalesce(other_profile_id, ''))), 24
) as event_id
from id_transitions
order by position
