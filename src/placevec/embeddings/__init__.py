"""The table of vectors: one row a place, with where the vectors came from. Read, written and checked here.

On disk it is GeoParquet 1.1 (``place_id, view, lon, lat, name, embedding, geometry``): geopandas, pyarrow,
DuckDB and QGIS open it without placevec. ``embedding`` is a fixed-size list of float32, float16 or int8; int8
is ``round(vector / scale)`` with one scale a view. The file's metadata holds, as JSON, ``placevec`` (view or views,
scale, provenance) and ``stac``: the fields of the STAC embedding extension v0.0.1
(https://github.com/geo-embeddings/embeddings-stac-specification).

Vectors of several views are one file of one row a place and view (`EmbeddingsOfViews`). Where their lengths differ they
are padded with zeros to the longest; the metadata holds the length of each.
"""

from os import PathLike

from placevec.embeddings.columns import STAC_EXTENSION
from placevec.embeddings.of_views import EmbeddingsOfViews
from placevec.embeddings.provenance import Provenance
from placevec.embeddings.table import Embeddings, concat
from placevec.options.choices import StoredType

__all__ = ["STAC_EXTENSION", "Embeddings", "EmbeddingsOfViews", "Provenance", "StoredType", "concat", "load"]


def load(path: str | PathLike[str]) -> Embeddings | EmbeddingsOfViews:
    """A file of vectors, of one view or of several; EmbeddingsError, in one line, for anything else."""
    found = EmbeddingsOfViews.load(path)
    return found.of() if len(found.views) == 1 else found
