"""Homes that are killed, damaged or share a lake."""
