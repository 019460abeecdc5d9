"""Measurements of each part beside its peers, run by hand."""
