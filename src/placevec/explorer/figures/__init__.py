"""Figures: PNG and PDF."""
