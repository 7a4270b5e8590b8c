"""Queries that belong to no place of a table: words and images, embedded by the model that made its vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from placevec.api.inputs import PathLike, recorded_model
from placevec.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from placevec.embeddings import Embeddings, EmbeddingsOfViews
    from placevec.models.model import Model


def model_behind(vectors: Embeddings | EmbeddingsOfViews, model: Model | PathLike | None, what: str) -> Model:
    """The model that made some vectors; InputError, saying ``what`` needs it, if it is not found."""
    table = vectors.of(vectors.views[0])
    found = recorded_model(table, model)
    if found is None:
        raise InputError(
            f"{what} is embedded by the model that made the vectors, which was not found: give it with --model"
        )
    return found


def view_of_images(vectors: Embeddings | EmbeddingsOfViews, model: Model, view: str | None) -> Embeddings:
    """The vectors that words and images are compared with: those of a given view, else of the only view of images.

    Fused vectors contain those of a place's own names, which words would find by their spelling, not by what is there.
    They are the default only if the model has several views of images, or none.
    """
    from placevec.inference.images import image_views

    shown = [name for name in image_views(model) if name in vectors.views]
    return vectors.of(shown[0] if view is None and len(shown) == 1 else view)


def vectors_of_texts(
    table: Embeddings, texts: Sequence[str], model: Model
) -> tuple[NDArray[np.float32], list[str]]:
    """((M, D) vectors of texts in the space of a table, remarks for the user).

    Raises:
        UsageError: a model without a view of texts, an empty text, or vectors of another length.
    """
    from placevec.inference.texts import embed_texts

    vectors, cut = embed_texts(model, texts)
    if vectors.shape[1] != table.vectors.shape[1]:
        raise UsageError(
            f"vectors of {table.view} have {table.vectors.shape[1]} numbers, those of texts {vectors.shape[1]}:"
            " choose another --view"
        )
    which = "the text is" if len(texts) == 1 else f"{cut} of {len(texts)} texts are"
    return vectors, [f"{which} longer than the model's window and was cut"] if cut else []
