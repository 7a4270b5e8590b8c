"""The table of vectors: one row a place, with where the vectors came from. Read, written and checked here.

On disk it is GeoParquet 1.1 (``place_id, view, lon, lat, name, embedding, geometry``): geopandas, pyarrow,
DuckDB and QGIS open it without placevec. ``embedding`` is a fixed-size list of float32, float16 or int8; int8
is ``round(vector / scale)`` with one scale a table. The file's metadata holds, as JSON, ``placevec`` (view,
scale, provenance) and ``stac``: the fields of the STAC embedding extension v0.0.1
(https://github.com/geo-embeddings/embeddings-stac-specification).
"""

from placevec.embeddings.columns import STAC_EXTENSION, StoredType
from placevec.embeddings.provenance import Provenance
from placevec.embeddings.table import Embeddings, concat

__all__ = ["STAC_EXTENSION", "Embeddings", "Provenance", "StoredType", "concat"]
