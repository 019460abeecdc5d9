"""What services deliver when something is wrong: each ends as the right row, a quarantined row or one clear line."""
