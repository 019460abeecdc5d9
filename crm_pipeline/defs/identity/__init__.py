"""The asset of customer identities."""
