"""PostgreSQL servers: the embedded one, and the administrator's access; whether a database can be used."""
