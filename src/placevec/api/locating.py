"""`locate`: likely coordinates for the vectors of a location encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from placevec.api.inputs import PathLike, model_of
from placevec.options import Limits, checked_keywords

if TYPE_CHECKING:
    import pandas as pd

    from placevec.embeddings import Embeddings
    from placevec.models.model import Model


@checked_keywords
def locate(
    model: Model | PathLike,
    vectors: Any,
    *,
    k: Annotated[int, Limits(min=1)] = 5,
    gallery: Embeddings | PathLike | None = None,
    refine: bool = True,
) -> pd.DataFrame:
    """Likely coordinates for vectors, such as an image's vector in the space of a location encoder.

    Args:
        model: A model that reads only coordinates, or its directory.
        vectors: (Q, dim) vectors, or a single vector.
        k: Points per vector, the most similar first.
        gallery: Vectors, from the same model, of the points to choose from, or their table (default: 50,000 points all
            over the Earth, kept as gallery.parquet next to the model).
        refine: Move the most similar point to where its vector fits best.

    Returns:
        A table with ``query`` and ``rank`` from 0, ``lon``, ``lat`` and ``similarity`` (cosine).

    Raises:
        ModelError: the model reads more than coordinates.
        EmbeddingsError: a gallery of another model, or one that cannot be read.
        InputError: vectors of another length, zero or not finite.
    """
    import numpy as np
    import pandas as pd

    from placevec.embeddings import Embeddings
    from placevec.inference.locating import gallery_of, located

    opened = model_of(model)
    if gallery is None:
        points = gallery_of(opened)
    else:
        points = gallery if isinstance(gallery, Embeddings) else Embeddings.load(gallery)
    found = located(opened, np.asarray(vectors, np.float32), points, k, refine=refine)
    queries = len(found.similarity)
    return pd.DataFrame(
        {
            "query": np.repeat(np.arange(queries), k),
            "rank": np.tile(np.arange(k), queries),
            "lon": found.lonlat[..., 0].ravel(),
            "lat": found.lonlat[..., 1].ravel(),
            "similarity": found.similarity.ravel(),
        }
    )
