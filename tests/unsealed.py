"""JSON files of placevec that a test changes: without their own checksum, as somebody may who edits them by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from placevec.io.checksums import OWN


def unsealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a JSON file without its checksum."""
    return {name: value for name, value in content.items() if name != OWN}
