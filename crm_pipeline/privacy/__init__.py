"""Erasure of people from every place, with a certificate; what is kept and what cannot be reached: docs/privacy.md."""
