"""Erasure from lake and warehouse, tombstones, and the privacy log."""
