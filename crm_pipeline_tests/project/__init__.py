"""Tests of the project itself: its tree, its documents, its contract; and the comparison of two commits."""
