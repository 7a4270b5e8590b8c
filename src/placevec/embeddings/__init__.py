"""The table of vectors: one row per place, with the provenance of the vectors. Read, written and checked here.

On disk it is GeoParquet 1.1 (``place_id, view, lon, lat, name, embedding, geometry``), which geopandas, pyarrow, DuckDB
and QGIS open without placevec. ``embedding`` is a fixed-size list of float32, float16 or int8; int8 is
``round(vector / scale)`` with one scale per view. The metadata of the file holds, as JSON, ``placevec`` (view or views,
scale, provenance) and ``stac``: the fields of the STAC embedding extension v0.0.1
(https://github.com/geo-embeddings/embeddings-stac-specification).

Vectors of several views are one file with one row per place and view (`EmbeddingsOfViews`). If their lengths differ,
they are padded with zeros to the longest; the metadata holds the length for each view.
"""

from os import PathLike

from placevec.embeddings.columns import STAC_EXTENSION
from placevec.embeddings.of_views import EmbeddingsOfViews
from placevec.embeddings.provenance import Provenance
from placevec.embeddings.table import Embeddings, concat
from placevec.options.choices import StoredType

__all__ = ["STAC_EXTENSION", "Embeddings", "EmbeddingsOfViews", "Provenance", "StoredType", "concat", "load"]


def load(path: str | PathLike[str]) -> Embeddings | EmbeddingsOfViews:
    """Load a file of vectors, with one view or several. EmbeddingsError, in one line, for anything else.

    >>> import numpy as np, tempfile
    >>> none, file = np.array([None], object), f"{tempfile.mkdtemp()}/city.parquet"
    >>> Embeddings(["a"], [[0.5, 1.0]], [[24.9, 60.2]], none, none, "map", Provenance("m", "d")).save(file)
    >>> load(file)
    Embeddings(1 places, dim=2, view='map')
    """
    found = EmbeddingsOfViews.load(path)
    return found.of() if len(found.views) == 1 else found
