"""What is expected of the published tables, tenant by tenant, and the Great Expectations that judge it.

What happens to a tenant that fails is the published assets' business.
"""

import os

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
"""Great Expectations reads it when it is imported, and would otherwise tell its makers about every run."""
