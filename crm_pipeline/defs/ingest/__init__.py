"""The assets of the services' snapshots and of the tenants."""
