"""A client of the service: vectors as numpy arrays, similar places as GeoDataFrames."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from placevec.errors import InputError, PlacevecError, UsageError
from placevec.service.settings import TOKEN

if TYPE_CHECKING:
    import geopandas
    import httpx
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

_KINDS = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".tif": "image/tiff",
    ".tiff": "image/tiff", ".npy": "application/x-npy",
}  # fmt: skip
_AT_ONCE = 8_192


class Client:
    """Asks a service that `placevec serve` started.

    Args:
        address: such as ``http://127.0.0.1:8767``.
        token: of the service (default: the environment variable PLACEVEC_TOKEN, if it is set).
        timeout: seconds for a request.
        transport: of httpx, instead of the network.

    Errors of the service are raised as `PlacevecError` with its message, those about the request as `InputError`.
    """

    def __init__(
        self,
        address: str = "http://127.0.0.1:8767",
        *,
        token: str | None = None,
        timeout: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        import httpx

        token = os.environ.get(TOKEN) if token is None else token
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            self._http = httpx.Client(
                base_url=address, headers=headers, timeout=timeout, transport=transport, trust_env=False
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise UsageError(f"{address[:100]!r} is not an address: {error}") from error

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def info(self) -> dict[str, Any]:
        """Model, views and tables of the service."""
        found: dict[str, Any] = self._ask("GET", "/info").json()
        return found

    def embed(
        self,
        lonlat: ArrayLike | None = None,
        *,
        places: Sequence[str] | None = None,
        texts: Sequence[str] | None = None,
        image: str | Path | None = None,
        view: str | None = None,
    ) -> NDArray[np.float32]:
        """(N, D) vectors of points, places, texts, or one image; NaN where there is nothing to embed.

        Args:
            lonlat: (N, 2) lon, lat degrees; any number, sent in parts.
            places: IDs.
            texts: words, if the model reads them.
            image: file: GeoTIFF, numpy array or picture.
            view: view of the vectors, if the model has several.
        """
        import numpy as np

        if sum(one is not None for one in (lonlat, places, texts, image)) != 1:
            raise UsageError("give exactly one of: lonlat, places, texts, image")
        if lonlat is not None:
            points = np.asarray(lonlat, np.float64)
            if points.ndim != 2 or points.shape[1] != 2:
                raise UsageError(f"lonlat must have the shape (N, 2); got {points.shape}")
            parts = [
                self._upload(_npy(points[start : start + _AT_ONCE]), ".npy", view)
                for start in range(0, len(points), _AT_ONCE)
            ]
            return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
        if image is not None:
            path = Path(image)
            if path.suffix.lower() not in _KINDS:
                raise UsageError(f"an image must end in one of {', '.join(_KINDS)}; got {path.name}")
            try:
                return self._upload(path.read_bytes(), path.suffix.lower(), view)
            except OSError as error:
                raise InputError(f"cannot read {path}: {error.strerror}") from error
        asked = {"places": list(places)} if places is not None else {"texts": list(texts or ())}
        body: dict[str, Any] = asked if view is None else {**asked, "view": view}
        return _array(self._ask("POST", "/embed", json=body, headers={"Accept": _KINDS[".npy"]}).content)

    def similar(self, **query: Any) -> geopandas.GeoDataFrame:
        """The most similar places: place_id, name, label, rank, distance or product, z, geometry.

        The keywords are those of ``POST /similar``, such as place, lon and lat, text, vector, k, bbox, within, filters.
        ``.attrs`` has the query, notes and the attribution.
        """
        import geopandas
        import numpy as np

        body = {name: value for name, value in query.items() if value is not None}
        if "vector" in body:
            body["vector"] = np.asarray(body["vector"], np.float64).ravel().tolist()
        found = self._ask("POST", "/similar", json=body).json()
        columns = ["place_id", "name", "label", "rank", found["query"]["measure"], "z", "geometry"]
        frame = geopandas.GeoDataFrame.from_features(found["features"], crs=4326, columns=columns)
        frame.attrs |= {name: found[name] for name in ("query", "notes", "attribution")}
        return frame

    def place(self, place_id: str, table: str | None = None) -> dict[str, Any]:
        """A place as a GeoJSON feature, with the vector of each view."""
        path = f"/places/{quote(place_id, safe='')}"
        found: dict[str, Any] = self._ask(
            "GET", path, params={} if table is None else {"table": table}
        ).json()
        return found

    def tile(self, zoom: int, x: int, y: int, **options: Any) -> bytes:
        """PNG of a tile; ``show="predictions"``, ``class``, ``table`` and ``view`` as in ``GET /tiles``."""
        return self._ask("GET", f"/tiles/{zoom:d}/{x:d}/{y:d}", params=options).content

    def _upload(self, content: bytes, ending: str, view: str | None) -> NDArray[np.float32]:
        reply = self._ask(
            "POST", "/embed", content=content, params={} if view is None else {"view": view},
            headers={"Content-Type": _KINDS[ending], "Accept": _KINDS[".npy"]},
        )  # fmt: skip
        return _array(reply.content)

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        import httpx

        try:
            reply = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise PlacevecError(
                f"the service at {self._http.base_url} does not respond: {type(error).__name__} {error}"
            ) from error
        if reply.is_success:
            return reply
        try:
            message = str(reply.json()["error"])
        except (ValueError, KeyError, TypeError):
            message = f"status {reply.status_code}"
        if reply.status_code in (400, 404, 413, 415, 422):
            raise InputError(message)
        raise PlacevecError(f"the service responded: {message}")


def _npy(points: NDArray[np.float64]) -> bytes:
    import numpy as np

    file = io.BytesIO()
    np.save(file, points)
    return file.getvalue()


def _array(content: bytes) -> NDArray[np.float32]:
    import numpy as np

    try:
        found: NDArray[np.float32] = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, OSError) as error:
        raise PlacevecError(f"the service did not return an array: {error}") from error
    return found
