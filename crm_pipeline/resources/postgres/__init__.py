"""PostgreSQL servers: the embedded one, and the administrator of any."""
