"""Expectations of the published tables, and their evaluation per tenant with Great Expectations."""

import os

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
"""Great Expectations reads it on import; without it, every run is reported to its makers."""
