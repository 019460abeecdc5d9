"""Facts of a profile: golden record, activity, engagement, and what the models are given."""
