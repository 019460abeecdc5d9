"""Emails, phones and names in the normal form in which records are compared."""
