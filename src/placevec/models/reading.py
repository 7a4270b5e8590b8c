"""How a model reads one view."""

from __future__ import annotations

from dataclasses import dataclass

from placevec.core import ViewSpec


@dataclass
class Reading:
    """The encoder and the specification for reading a view.

    Attributes:
        encoder: name of the encoder; several views may share one.
        spec: required specification of the view: channels, values, resolution and rules of the training data.

    >>> from placevec.core import ViewSpec
    >>> Reading("location", ViewSpec("coordinates", "coordinates")).spec.name
    'coordinates'
    """

    encoder: str
    spec: ViewSpec
