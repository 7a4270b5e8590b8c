"""Finding scenes in a STAC catalog: an API is asked about areas, a static catalog is read link by link.

https://github.com/radiantearth/stac-spec and https://github.com/radiantearth/stac-api-spec. Everything that a catalog
says is checked before it is used, and no link leads from a server to the files of this machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from placevec.errors import SourceError
from placevec.io.files import check_regular
from placevec.io.json_documents import parse_json
from placevec.io.progress import SILENT, Progress
from placevec.sources.imagery.scenes import Found, Scene, scene_of_item, without_duplicates
from placevec.sources.patience import PatientClient
from placevec.sources.web_address import check_url, printable_address

PAGE_SIZE = 100
"""Items requested at a time; a page of one item would be one request an item."""
MAX_PAGES, MAX_DOCUMENTS, MAX_ITEMS = 10_000, 100_000, 1_000_000
MAX_JSON_BYTES = 2**26
_JSON = {"Accept": "application/geo+json, application/json"}
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class StacQuery:
    """What is looked for.

    Attributes:
        boxes: (west, south, east, north) in degrees; west > east crosses the antimeridian.
        bands: that a scene must have.
        start, end: ISO dates, both included; None: any.
        max_cloud: maximum cloud cover in percent.
        collection: asked of an API.
    """

    boxes: Sequence[Box]
    bands: Sequence[str]
    start: str | None = None
    end: str | None = None
    max_cloud: float = 100.0
    collection: str = "sentinel-2-l2a"

    @property
    def interval(self) -> str | None:
        """The dates as RFC 3339, or None."""
        if self.start is None and self.end is None:
            return None
        start = ".." if self.start is None else f"{self.start}T00:00:00Z"
        return f"{start}/{'..' if self.end is None else f'{self.end}T23:59:59Z'}"


def is_address(text: str) -> bool:
    """Whether it is meant as the address of a server.

    >>> is_address("https://earth-search.aws.element84.com/v1"), is_address("scenes/catalog.json")
    (True, False)
    """
    return "://" in text


def client_for(address: str, *others: str) -> PatientClient:
    """Requests to the server of a catalog, and others that are named; for a file, to those and the public internet."""
    return PatientClient((*((address,) if is_address(address) else ()), *others), max_bytes=2**27)


def find_scenes(
    address: str, query: StacQuery, client: PatientClient, *, progress: Progress = SILENT
) -> Found:
    """The usable scenes of a catalog, each tile and time once, least cloudy first.

    Args:
        address: an API, a static catalog, a collection, an item or a list of items: http(s), or a JSON file.
        query: what is looked for.
        client: makes the requests.
        progress: receives progress reports.

    Raises:
        SourceError: it cannot be read, or is no STAC.
    """
    found, scenes, seen = Found(), [], dict[str, Scene]()
    documents = _Documents(address, client)
    with progress.task("Searching scenes", total=None) as advance:
        for item, base in _items(documents, query):
            advance()
            try:
                scene = scene_of_item(item, lambda href, base=base: documents.asset(base, href))
            except (ValueError, TypeError, AttributeError, RecursionError) as error:
                found.leave_out(f"invalid items ({str(error)[:120]})")
                continue
            if seen.get(scene.id) == scene:
                continue  # the same item on two pages, or in two boxes
            seen[scene.id] = scene
            if reason := _unusable(scene, query):
                found.leave_out(reason)
                continue
            scenes.append(scene)
            if len(scenes) > MAX_ITEMS:
                raise SourceError(
                    f"{documents.shown} has more than {MAX_ITEMS:,} scenes in the area: narrow the dates"
                )
    found.scenes = without_duplicates(scenes, found)
    if documents.refused:
        reason = f"links that are neither http(s) nor in the folder of the catalog ({documents.refused[0]!r})"
        found.left_out[reason] = len(documents.refused)
    return found


def _unusable(scene: Scene, query: StacQuery) -> str | None:
    """Why a scene is left out."""
    missing = [band for band in query.bands if band not in scene.bands]
    if missing:
        return f"without the band {missing[0]} as a GeoTIFF or JPEG 2000 file, local or over http(s)"
    if (query.start and scene.date < query.start) or (query.end and scene.date > query.end):
        return "outside the dates"
    if scene.cloud is not None and scene.cloud > query.max_cloud:
        return f"cloudier than {query.max_cloud:g} %"
    if not any(overlap(scene.bounds, box) for box in query.boxes):
        return "elsewhere"
    return None


def overlap(first: Box, second: Box) -> bool:
    """Whether two boxes in degrees share a point; west > east crosses the antimeridian.

    >>> overlap((179, 0, -179, 1), (-180, 0, -179.5, 1)), overlap((0, 0, 1, 1), (2, 0, 3, 1))
    (True, False)
    """
    if first[1] > second[3] or second[1] > first[3]:
        return False
    return any(w <= e2 and w2 <= e for w, e in _spans(first) for w2, e2 in _spans(second))


def _spans(box: Box) -> list[tuple[float, float]]:
    west, _, east, _ = box
    return [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]


class _Documents:
    """The documents of one catalog: where they lie, and what its links may lead to."""

    def __init__(self, address: str, client: PatientClient) -> None:
        self.client, self.remote, self.refused = client, is_address(address), list[str]()
        if self.remote:
            check_url(address)
            self.start, self.shown = address, printable_address(address)
        else:
            self.start = str(check_regular(address, "STAC catalog").resolve())
            self.shown, self._folder = address, Path(self.start).parent

    def read(self, address: str) -> Any:
        """The JSON at an address or path of this catalog; SourceError if it is none."""
        if is_address(address):
            body = self.client.get(address, _JSON).body
        else:
            path = check_regular(address, "STAC document")
            if path.stat().st_size > MAX_JSON_BYTES:
                raise SourceError(f"{path} is larger than {MAX_JSON_BYTES:,} bytes")
            body = path.read_bytes()
        return self.parsed(body, address)

    def post(self, address: str, content: Any) -> Any:
        """The JSON that a search answers."""
        body = json.dumps(content).encode()
        return self.parsed(self.client.post(address, body, _JSON).body, address)

    @staticmethod
    def parsed(body: bytes, address: str) -> Any:
        if len(body) > MAX_JSON_BYTES:
            raise SourceError(f"{printable_address(address)} is larger than {MAX_JSON_BYTES:,} bytes")
        try:
            content = parse_json(body, nan_as_null=True)
        except ValueError as error:
            raise SourceError(f"{printable_address(address)} is not a STAC document: {error}") from error
        if not isinstance(content, dict):
            raise SourceError(f"{printable_address(address)} is not a STAC document: it is not a JSON object")
        return content

    def link(self, base: str, href: Any) -> str | None:
        """The address that a link leads to; None where a catalog must not lead."""
        if not isinstance(href, str) or not href:
            return None
        if is_address(base):
            target = urljoin(base, href)
            return target if urlsplit(target).scheme in ("http", "https") else None
        if is_address(href):
            return href if urlsplit(href).scheme in ("http", "https") else None
        target = os.path.normpath(Path(base).parent / href)
        return target if Path(target).is_relative_to(self._folder) else None

    asset = link


def _items(documents: _Documents, query: StacQuery) -> Iterator[tuple[Any, str]]:
    """(item, address of its document), as they come."""
    start = documents.start
    content = documents.read(start)
    links = _links(content)
    if content.get("type") == "FeatureCollection":
        yield from _pages(documents, start, content)
        return
    if search := _search_link(documents, start, links):
        post, address = search
        conforms = " ".join(map(str, content.get("conformsTo") or []))
        for box in query.boxes:
            for part in _spans(box):
                asked = _body(
                    query, (part[0], box[1], part[1], box[3]), by_cloud="item-search#query" in conforms
                )
                if post:
                    yield from _pages(documents, address, documents.post(address, asked), asked)
                else:
                    full = f"{address}?{urlencode(_flat(asked))}"
                    yield from _pages(documents, full, documents.read(full))
        return
    yield from _static(documents, start, content, query)


def _links(content: Any) -> list[dict[str, Any]]:
    links = content.get("links")
    return [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []


def _search_link(documents: _Documents, base: str, links: list[dict[str, Any]]) -> tuple[bool, str] | None:
    """(whether by POST, address) of an API's search."""
    found = [
        (str(link.get("method", "GET")).upper() == "POST", target)
        for link in links
        if link.get("rel") == "search" and (target := documents.link(base, link.get("href")))
    ]
    return max(found) if found else None


def _body(query: StacQuery, box: Box, *, by_cloud: bool) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "collections": [query.collection],
        "bbox": [round(edge, 6) for edge in box],
        "limit": PAGE_SIZE,
    }
    if query.interval:
        asked["datetime"] = query.interval
    if by_cloud and query.max_cloud < 100:
        asked["query"] = {"eo:cloud_cover": {"lte": query.max_cloud}}
    return asked


def _flat(asked: dict[str, Any]) -> dict[str, str]:
    """A search as the parameters of a GET request."""
    return {
        name: ",".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in asked.items()
        if name != "query"
    }


def _pages(
    documents: _Documents, address: str, content: Any, asked: dict[str, Any] | None = None
) -> Iterator[tuple[Any, str]]:
    """The items of a search, page by page, along links of kind ``next``."""
    seen = {(address, json.dumps(asked, sort_keys=True))}
    for _ in range(MAX_PAGES):
        items = content.get("features")
        if not isinstance(items, list):
            raise SourceError(f"{printable_address(address)} returned search results without a list of items")
        for item in items:
            yield item, address
        following = next((link for link in _links(content) if link.get("rel") == "next"), None)
        if following is None:
            return
        target = documents.link(address, following.get("href"))
        if target is None:
            raise SourceError(
                f"{printable_address(address)} names a next page that is neither http(s) nor in its folder: "
                f"{str(following.get('href'))[:80]!r}"
            )
        body = None
        if str(following.get("method", "GET")).upper() == "POST":
            told = following.get("body")
            own: dict[str, Any] = told if isinstance(told, dict) else {}
            body = {**(asked or {}), **own} if following.get("merge") else own
        key = (target, json.dumps(body, sort_keys=True))
        if key in seen:
            raise SourceError(f"{printable_address(address)} keeps returning the same page of results")
        seen.add(key)
        content = documents.read(target) if body is None else documents.post(target, body)
        address, asked = target, body
    raise SourceError(
        f"{documents.shown} returned more than {MAX_PAGES:,} pages: narrow the dates or the area"
    )


def _static(documents: _Documents, start: str, content: Any, query: StacQuery) -> Iterator[tuple[Any, str]]:
    """The items of a static catalog, depth first; collections elsewhere are not opened."""
    waiting, seen = [start], {start}
    while waiting:
        address = waiting.pop()
        content = content if address == start else documents.read(address)
        kind = content.get("type")
        if kind == "Feature":
            yield content, address
            continue
        if kind == "FeatureCollection":
            yield from ((item, address) for item in content.get("features") or [])
            continue
        if kind not in ("Catalog", "Collection"):
            raise SourceError(
                f"{printable_address(address)} is not a STAC document: its type is {str(kind)[:40]!r}, not Catalog, "
                "Collection, Feature or FeatureCollection"
            )
        if kind == "Collection" and _is_elsewhere(content, query):
            continue
        for link in reversed(_links(content)):
            if link.get("rel") not in ("child", "item", "items"):
                continue
            target = documents.link(address, link.get("href"))
            if target is None:
                documents.refused.append(str(link.get("href"))[:80])
            elif target not in seen:
                seen.add(target)
                if len(seen) > MAX_DOCUMENTS:
                    raise SourceError(
                        f"{documents.shown} has more than {MAX_DOCUMENTS:,} documents: give a part of it"
                    )
                waiting.append(target)


def _is_elsewhere(collection: Any, query: StacQuery) -> bool:
    """Whether the stated extent of a collection touches no box; unknown extents are everywhere."""
    try:
        box = [float(edge) for edge in collection["extent"]["spatial"]["bbox"][0]]
    except (KeyError, IndexError, TypeError, ValueError):
        return False
    box = [*box[:2], *box[3:5]] if len(box) == 6 else box
    if len(box) != 4 or box[1] > box[3]:
        return False
    return not any(overlap((box[0], box[1], box[2], box[3]), wanted) for wanted in query.boxes)
