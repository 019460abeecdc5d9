"""Tests of the connections to the world outside."""
