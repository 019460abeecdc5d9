"""The publish step: the quality gate, the pending rows, and publication."""
