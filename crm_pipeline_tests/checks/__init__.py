"""Tests of what is expected of the published tables."""
