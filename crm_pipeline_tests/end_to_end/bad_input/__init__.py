"""Whole runs on bad input."""
