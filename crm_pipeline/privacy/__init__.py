"""Erasure of people from every place, with a certificate. See docs/privacy.md for what stays."""
