"""Facts of a profile: golden record, activity, engagement, and the inputs of the models."""
