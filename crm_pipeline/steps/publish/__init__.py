"""The quality gate and publication."""
