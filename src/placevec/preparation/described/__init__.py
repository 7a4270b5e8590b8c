"""The founding system's table of chips and their texts: ``multimodal_dataset.csv``, read and written."""

from __future__ import annotations

COLUMNS = ("obs_id", "entity_id", "entity_type", "chip_path", "text")
"""Of the founding table, in its order."""
CHIPS = "s2_chips"
"""Folder of the chips beside it."""
