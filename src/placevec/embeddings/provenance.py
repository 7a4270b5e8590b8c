"""Where vectors come from; stored with every table of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from placevec.errors import EmbeddingsError
from placevec.io.atomic import sha256_of_json

_MAX_PROVENANCE_TEXT = 10_000


@dataclass(frozen=True)
class Provenance:
    """Where vectors come from.

    Attributes:
        model_hash: SHA-256 of the model that made them; vectors of two models never share a table.
        dataset_hash: SHA-256 of the dataset that they describe.
        model_path: path of the model when the vectors were made, so that later steps can find it.
        dataset_path: path of the dataset.
        attribution: the credit required on every figure and table made from them.
        created: UTC time, ISO 8601.
        placevec_version: version of placevec that made them.
        source: what others published them as; empty for vectors of a model here.
        version: of what they published, with the year that it describes.
        license: SPDX identifier of their license (that of the dataset, for vectors made here), or where to find it.

    >>> made = Provenance("6f1c", "9a0d", attribution="© OpenStreetMap contributors")
    >>> Provenance.from_dict({"model_hash": "6f1c", "dataset_hash": "9a0d", "attribution": made.attribution}) == made
    True
    """

    model_hash: str
    dataset_hash: str
    model_path: str = ""
    dataset_path: str = ""
    attribution: str = ""
    created: str = ""
    placevec_version: str = ""
    source: str = ""
    version: str = ""
    license: str = ""

    @classmethod
    def from_dict(cls, content: Any) -> Provenance:
        """The inverse of `dataclasses.asdict`; EmbeddingsError unless all values are strings of reasonable length."""
        names = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or not {"model_hash", "dataset_hash"} <= set(content) <= names:
            raise EmbeddingsError("provenance must have model_hash and dataset_hash, and no unknown fields")
        for name, value in content.items():
            if not isinstance(value, str) or len(value) > _MAX_PROVENANCE_TEXT:
                raise EmbeddingsError(f"provenance field {name} is not text, or is too long")
        return cls(**content)


def joined(parts: Sequence[Provenance]) -> Provenance:
    """Combine tables of one model: common values are kept, datasets become one hash of their hashes.

    >>> joined([Provenance("m", "d", attribution="OSM"), Provenance("m", "d", attribution="OSM")]).dataset_hash
    'd'
    """
    first = parts[0]
    datasets = sorted({part.dataset_hash for part in parts})
    one = len(datasets) == 1
    return Provenance(
        model_hash=first.model_hash,
        dataset_hash=datasets[0] if one else sha256_of_json(datasets),
        model_path=first.model_path,
        dataset_path=first.dataset_path if one else "",
        attribution="; ".join(dict.fromkeys(part.attribution for part in parts if part.attribution)),
        created=max(part.created for part in parts),
        placevec_version=first.placevec_version,
        source=first.source,
        version=first.version,
        license=first.license if len({part.license for part in parts}) == 1 else "",
    )
