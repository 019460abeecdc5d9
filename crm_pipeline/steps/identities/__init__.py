"""Identity resolution of a tenant batch, stored in one atomic commit, and its audit."""
