"""PostgreSQL servers: the embedded one, and the administrator's access to the warehouse."""
