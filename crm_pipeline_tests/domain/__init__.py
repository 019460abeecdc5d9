"""Tests of the pure calculations."""
