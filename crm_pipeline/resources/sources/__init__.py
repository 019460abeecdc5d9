"""Reads the services' tables from folders of files or PostgreSQL databases."""
