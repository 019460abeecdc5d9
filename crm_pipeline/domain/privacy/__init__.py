"""Whose a row is for an erasure, and who is inactive."""
