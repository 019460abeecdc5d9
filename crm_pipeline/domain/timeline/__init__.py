"""The activity timeline: the events of every service in one stream."""
