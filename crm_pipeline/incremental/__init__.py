"""Incremental refresh: the plan per tenant, the dirty rows, what they affect, and the rows a batch requires."""
