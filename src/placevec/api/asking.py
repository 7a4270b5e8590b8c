"""Queries that belong to no place of a table: words and images, embedded by the model that made its vectors."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from placevec.api.inputs import PathLike, recorded_model
from placevec.errors import InputError, SourceError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from placevec.embeddings import Embeddings, EmbeddingsOfViews
    from placevec.models.model import Model


def model_behind(vectors: Embeddings | EmbeddingsOfViews, model: Model | PathLike | None, what: str) -> Model:
    """The model that made some vectors; InputError, which says that ``what`` needs it, if it is not found."""
    table = vectors.of(vectors.views[0])
    found = recorded_model(table, model)
    if found is None:
        raise InputError(
            f"embedding {what} needs the model that made the vectors, but it was not found: give it with --model"
        )
    return found


def view_of_images(vectors: Embeddings | EmbeddingsOfViews, model: Model, view: str | None) -> Embeddings:
    """The vectors that words and images are compared with: those of the given view, or else of the only image view.

    Fused vectors contain the vectors of a place's own names, so words would match names by their spelling instead of
    what is there. They are the default only if the model has several image views, or none.
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
            f"{table.view} vectors have {table.vectors.shape[1]} dimensions but text vectors have {vectors.shape[1]}:"
            " choose another --view"
        )
    which = "the text is" if len(texts) == 1 else f"{cut} of {len(texts)} texts are"
    return vectors, [f"{which} longer than the model's window and was cut"] if cut else []


def vector_of_upload(
    model: Model, content: bytes, ending: str, view: str | None, max_bytes: int, name: str = "the image"
) -> tuple[NDArray[np.float32], str]:
    """((D,) vector of an uploaded image, the view that it was read as).

    The image is read from a temporary file, which is deleted afterwards; only the format is taken from its name.

    Args:
        model: a model with an image view.
        content: the bytes of the image.
        ending: file extension of its format, such as ``.png``.
        view: the view that it belongs to, see `placevec.inference.images.embed_image`.
        max_bytes: maximum size.
        name: what messages call it, such as the name of the user's file; untrusted text.

    Raises:
        SourceError: not an image, of another format, damaged, or too large in bytes or pixels.
        InputError: with bands or values that the model does not read.
    """
    from placevec.inference.images import embed_image
    from placevec.sources.imagery.single_image import FORMATS

    if ending not in FORMATS:
        raise SourceError(f"the image must be in one of these formats: {', '.join(FORMATS)}")
    if len(content) > max_bytes:
        raise SourceError(
            f"an image may have at most {max_bytes / 1e6:g} MB; this one has {len(content) / 1e6:.1f} MB"
        )
    with tempfile.TemporaryDirectory(prefix="placevec-") as folder:
        path = Path(folder) / f"image{ending}"
        path.write_bytes(content)
        try:
            return embed_image(model, path, view)
        except InputError as error:  # of several kinds, which stay
            told = str(error).replace(str(path), name).replace(path.name, name)
            if told == str(error):
                raise
            raise type(error)(told) from None
