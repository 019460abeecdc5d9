"""The revisions, oldest first; a released revision never changes."""
