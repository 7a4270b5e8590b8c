"""Where vectors came from: told with every table of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from placevec.errors import EmbeddingsError
from placevec.io.atomic import sha256_of_json

_MAX_PROVENANCE_TEXT = 10_000


@dataclass(frozen=True)
class Provenance:
    """Where vectors came from.

    Attributes:
        model_hash: SHA-256 of the model that made them; vectors of two models never share a table.
        dataset_hash: SHA-256 of the dataset that they describe.
        model_path: where the model lay when the vectors were made, so that later steps find it.
        dataset_path: the same for the dataset.
        attribution: the credit that every picture and table made from them must carry.
        created: UTC time, ISO 8601.
        placevec_version: of the placevec that made them.
    """

    model_hash: str
    dataset_hash: str
    model_path: str = ""
    dataset_path: str = ""
    attribution: str = ""
    created: str = ""
    placevec_version: str = ""

    @classmethod
    def from_dict(cls, content: Any) -> Provenance:
        """The inverse of `dataclasses.asdict`; EmbeddingsError unless all values are texts of sane length."""
        names = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or not {"model_hash", "dataset_hash"} <= set(content) <= names:
            raise EmbeddingsError("provenance must name model_hash and dataset_hash and nothing unknown")
        for name, value in content.items():
            if not isinstance(value, str) or len(value) > _MAX_PROVENANCE_TEXT:
                raise EmbeddingsError(f"provenance field {name} is not a text of sane length")
        return cls(**content)


def joined(parts: Sequence[Provenance]) -> Provenance:
    """Of several tables of one model: what is common stays, several datasets become the hash of their hashes, no path."""
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
    )
