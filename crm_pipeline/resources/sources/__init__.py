"""The services as they are delivered: folders of files or PostgreSQL databases."""
