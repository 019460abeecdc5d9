"""Measurements of each part next to its peers, run by hand."""
