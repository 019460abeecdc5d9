"""What each step of a run does for one tenant batch."""
