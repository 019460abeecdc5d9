"""Scores, lifecycle stage and status of every profile, and the rows of customer_profiles."""
