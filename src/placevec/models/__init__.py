"""Trained models: what they hold, their cards, heads, and importers of foreign weights."""
