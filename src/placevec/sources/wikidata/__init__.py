"""Wikidata items by their number: labels, aliases and descriptions in every language, types and coordinates."""
