"""Structures, neighbours within a cutoff, and their slots."""
