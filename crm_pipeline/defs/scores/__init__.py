"""The asset of profile scores."""
