"""Tests of being forgotten: everywhere, for good, and nobody else."""
