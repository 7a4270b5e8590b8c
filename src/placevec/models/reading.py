"""How a model reads one view."""

from __future__ import annotations

from dataclasses import dataclass

from placevec.core import ViewSpec


@dataclass
class Reading:
    """Through which encoder a view is read, and as what.

    Attributes:
        encoder: name of the encoder; several views may share one.
        spec: what the view must look like: channels, values, resolution and rules of what was trained on.
    """

    encoder: str
    spec: ViewSpec
