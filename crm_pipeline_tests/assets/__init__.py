"""Tests of the assets, through whole runs."""
