"""The asset of timeline events."""
