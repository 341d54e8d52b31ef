"""Structures and their neighbours within a cutoff."""
