"""Scores, stage and status of every profile, put together as customer_profiles."""
