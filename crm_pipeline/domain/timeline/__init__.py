"""The activity timeline: one stream of events from every service."""
