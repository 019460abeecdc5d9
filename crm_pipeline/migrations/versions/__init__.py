"""The revisions, oldest first; one that is out never changes again."""
