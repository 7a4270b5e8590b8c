"""Sentences around the names of places, by language and type."""
