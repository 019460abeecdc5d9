"""Which rows are about a person, and which golfers are inactive."""
