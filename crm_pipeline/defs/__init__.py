"""What Dagster is told: assets, checks, jobs, schedules, sensors and resources."""
