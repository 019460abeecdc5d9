"""Publication: a tenant's tables made equal to the lake, in one transaction."""
