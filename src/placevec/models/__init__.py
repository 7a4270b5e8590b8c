"""Trained models, their cards and heads, and importers for weights of other projects."""
