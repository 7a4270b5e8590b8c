"""The application: its routes, and what each does between a request and its answer."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import parse_qsl

import numpy as np
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi import Path as PathOf
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.json_schema import models_json_schema

from placevec._version import __version__
from placevec.api.asking import vector_of_upload, vectors_of_texts, view_of_images
from placevec.datasets.views.registry import reader_of
from placevec.embeddings import Embeddings
from placevec.errors import InputError, PlacevecError, UsageError
from placevec.inference.texts import embed_texts
from placevec.service import answers, drawing
from placevec.service.batching import Batcher, BusyError
from placevec.service.counters import ROUTES, Counters, label
from placevec.service.guard import Guard
from placevec.service.requests import (
    MAX_TEXTS,
    Embedded,
    EmbedRequest,
    Health,
    Problem,
    SimilarBody,
    SimilarQuery,
    Words,
    the_query,
)
from placevec.service.settings import Settings
from placevec.service.state import State, open_state, signature_of

Vectors = NDArray[np.float32]
GEOJSON, NPY, PNG = "application/geo+json", "application/x-npy", "image/png"
IMAGES = {PNG: ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/tiff": ".tif", NPY: ".npy"}
"""Media type of an upload -> its format."""
_SMALL = 64
"""Points that are embedded in the event loop by a model of coordinates."""
_KEPT_TILES = 1_000
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": meaning}
    for status, meaning in (
        (400, "It cannot be answered"), (401, "A token is missing"), (403, "Another host or site"), (404, "Unknown"),
        (408, "Too slow"), (413, "Too large"), (415, "Another media type"), (422, "Invalid"), (429, "Too often"),
        (500, "A bug"), (503, "Too much at once"),
    )
}  # fmt: skip


class GeoJson(Response):
    """GeoJSON."""

    media_type = GEOJSON


class Png(Response):
    """A picture."""

    media_type = PNG


class UploadQuery(BaseModel):
    """How an upload is read."""

    model_config = ConfigDict(extra="forbid")
    view: Annotated[str | None, Field(max_length=200, description="View of an image or of points")] = None


class WordsQuery(BaseModel):
    """Words that the explorer's page asks for."""

    text: Words


class Service:
    """The state of one worker process, and how it answers.

    Args:
        settings: of the service.
        state: opened before; None opens it.
    """

    def __init__(self, settings: Settings, state: State | None = None) -> None:
        self.settings = settings
        self._signature = signature_of(settings)
        self.state = open_state(settings) if state is None else state
        self.counters = Counters(settings.counted or None)
        self.problem = ""
        self.model_thread = ThreadPoolExecutor(1, "model")
        self.threads = ThreadPoolExecutor(2, "search")
        self.points: Batcher[tuple[NDArray[np.float64], NDArray[np.float64] | None], Vectors] = Batcher(
            self._embed_points, self.model_thread, size_of=lambda one: len(one[0]), max_size=settings.max_points,
            max_waiting=8 * settings.max_points, small=_SMALL if self.state.quick else 0,
            counted=lambda: self.counters.add("batches"),
        )  # fmt: skip
        self.texts: Batcher[Sequence[str], Vectors] = Batcher(
            self._embed_texts, self.model_thread, size_of=len, max_size=MAX_TEXTS, max_waiting=8 * MAX_TEXTS,
            counted=lambda: self.counters.add("batches"),
        )  # fmt: skip

    def _embed_points(
        self, kind: Hashable, items: Sequence[tuple[NDArray[np.float64], NDArray[np.float64] | None]]
    ) -> list[Vectors]:
        """The vectors of several requests' points."""
        state, view, _ = cast(tuple[State, str, bool], kind)
        lonlat = np.concatenate([one[0] for one in items])
        years = (
            None if items[0][1] is None else np.concatenate([one[1] for one in items if one[1] is not None])
        )
        found = state.at_points(lonlat, years, view)
        ends = np.cumsum([len(one[0]) for one in items])[:-1]
        return np.split(found, ends)

    def _embed_texts(self, kind: Hashable, items: Sequence[Sequence[str]]) -> list[Vectors]:
        state, view = cast(tuple[State, Embeddings | None], kind)
        texts = [text for one in items for text in one]
        if view is None:
            found, _ = embed_texts(state.model, texts)
        else:
            found, _ = vectors_of_texts(view, texts, state.model)
        ends = np.cumsum([len(one) for one in items])[:-1]
        return np.split(found, ends)

    async def in_thread(self, work: Any, *arguments: Any) -> Any:
        """Run something in a thread for searches."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)

    # --- embedding ------------------------------------------------------------------------------------

    async def embed(self, asked: EmbedRequest) -> tuple[State, Vectors, str]:
        """(the state, (N, D) vectors, their view) of points, places or texts."""
        state = self.state
        if asked.points is not None:
            lonlat = np.array([(one.lon, one.lat) for one in asked.points], np.float64)
            given = [one.year for one in asked.points]
            if None in given and any(one is not None for one in given):
                raise UsageError("give a year for every point, or for none")
            years = None if given[0] is None else np.array(given, np.float64)
            return await self.embed_points(lonlat, years, asked.view)
        if asked.places is not None:
            found, view, unknown = await asyncio.get_running_loop().run_in_executor(
                self.model_thread, state.of_places, asked.places, asked.view
            )
            if unknown is not None:
                raise HTTPException(404, f"there is no place {unknown[:100]!r}")
            return state, found, view
        assert asked.texts is not None
        if asked.view is not None and asked.view not in state.model.views:
            raise UsageError(
                f"the model has no view {asked.view!r}: choose from {', '.join(state.model.views)}"
            )
        found = await self.texts((state, None), asked.texts)
        return state, found, next(n for n, spec in state.model.specs.items() if reader_of(spec).from_texts)

    async def embed_points(
        self, lonlat: NDArray[np.float64], years: NDArray[np.float64] | None, view: str | None
    ) -> tuple[State, Vectors, str]:
        """(the state, (N, D) vectors, their view) of points."""
        state = self.state
        wanted = state.model.default_view(view)
        if not state.model.bare:
            state.require_points(lonlat, wanted)  # before they join a batch
        return state, await self.points((state, wanted, years is None), (lonlat, years)), wanted

    async def embed_upload(self, content: bytes, ending: str, view: str | None) -> tuple[State, Vectors, str]:
        """(the state, (N, D) vectors, their view) of an image, or of points in a numpy array."""
        state = self.state
        if ending == ".npy" and (points := _points_in(content, self.settings.max_points)) is not None:
            return await self.embed_points(points, None, view)
        vector, read_as = await asyncio.get_running_loop().run_in_executor(
            self.model_thread, vector_of_upload, state.model, content, ending, view, self.settings.max_body
        )
        return state, vector[None], read_as

    # --- search ---------------------------------------------------------------------------------------

    async def similar(self, asked: SimilarQuery) -> bytes:
        """GeoJSON of a search."""
        state = self.state
        the_query(asked)
        table, vector = answers.table_for(state, asked), None
        if asked.place is not None and table.row_of(asked.place) is None:
            raise HTTPException(404, f"there is no place {asked.place[:100]!r} in this table")
        if asked.text is not None:
            vector = (await self.texts((state, table), [asked.text]))[0]
        elif answers.point_to_embed(state, table, asked):
            lonlat = np.array([[asked.lon, asked.lat]], np.float64)
            vector = (await self.points((state, table.view, True), (lonlat, None)))[0]
            vector = None if np.isnan(vector).any() else vector
        if answers.is_quick(state, table, asked):
            return answers.search(state, table, asked, vector)
        found: bytes = await self.in_thread(answers.search, state, table, asked, vector)
        return found

    # --- tiles and page -------------------------------------------------------------------------------

    def tile(
        self,
        state: State,
        table: str | None,
        view: str | None,
        zoom: int,
        x: int,
        y: int,
        wanted: tuple[Any, ...],
    ) -> tuple[bytes, str]:
        """(PNG, how to read it) of vectors or of predictions."""
        kind, name, year = wanted
        key = (table, view, zoom, x, y, *wanted)
        kept: dict[Any, tuple[bytes, str]] = state.once("tiles", dict)
        if key not in kept:
            if kind == "predictions":
                made = drawing.predicted_tile(state.model, zoom, x, y, name, year)
            else:
                of = state.loaded(table).of(view)
                painter = state.once(("painter", id(of)), lambda: drawing.Painter(of))
                made = (
                    painter.tile(zoom, x, y),
                    "three principal components of the vectors as red, green and blue",
                )
            while len(kept) >= _KEPT_TILES:
                kept.pop(next(iter(kept)), None)
            kept[key] = made
        return kept[key]

    def page(self, state: State) -> tuple[str, Any]:
        """(the explorer's page, what is drawn on it), made at the first request."""

        def make() -> tuple[str, Any]:
            from placevec.api.inputs import window_m
            from placevec.explorer.pages.page import page_of
            from placevec.explorer.sample import Drawn

            loaded = state.loaded(None)
            words = has_words(state)
            table = view_of_images(loaded, state.model, None) if words else loaded.of(loaded.views[-1])
            drawn = Drawn.of(
                table, dataset=state.dataset, columns=state.columns, window_m=window_m(table, state.model)
            )
            with tempfile.TemporaryDirectory(prefix="placevec-") as folder:
                made = page_of(drawn, Path(folder) / "page.html", served=words)
                return made.path.read_text("utf-8"), drawn

        return state.once("page", make)

    # --- files that change ----------------------------------------------------------------------------

    async def watch(self) -> None:
        """Open the model and its vectors again when their files change; requests go on with those before."""
        while True:
            await asyncio.sleep(self.settings.reload_s)
            await self.reload_if_changed()

    async def reload_if_changed(self) -> bool:
        """Whether files had changed and are served now; what cannot be used is reported, and what was goes on."""
        signature = signature_of(self.settings)
        if signature == self._signature:
            return False
        try:
            state = await asyncio.to_thread(open_state, self.settings, write=True)
        except (PlacevecError, OSError) as error:
            if str(error) != self.problem:
                self.problem = str(error)
                self.counters.add("failed_reloads")
                print(
                    f"placevec: the changed files cannot be used, the earlier ones are served: {error}",
                    file=sys.stderr,
                )
            return False  # and tried again: another file may follow
        self._signature, self.state, self.problem = signature, state, ""
        self.counters.add("reloads")
        return True


def has_words(state: State) -> bool:
    """Whether the model has words."""
    return sum(reader_of(spec).from_texts for spec in state.model.specs.values()) == 1


def _points_in(content: bytes, most: int) -> NDArray[np.float64] | None:
    """(N, 2) degrees of a numpy file; None if it has another shape. InputError for invalid ones."""
    try:
        found = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # a header can contain anything
        raise InputError(f"the upload is not a numpy array: {str(error)[:200]}") from error
    if not isinstance(found, np.ndarray) or found.ndim != 2:
        return None
    if found.dtype.kind not in "fiu" or found.shape[1] != 2 or not 1 <= len(found) <= most:
        raise InputError(
            f"points must be an array (N, 2) of lon, lat with 1 to {most:,} rows; got {found.shape}"
        )
    points = np.ascontiguousarray(found, np.float64)
    if not (np.abs(points) <= [180.0, 90.0]).all():
        raise InputError("points must be lon, lat in degrees: -180 to 180 and -90 to 90")
    return points


def build(settings: Settings, state: State | None = None) -> Guard:
    """The application with its guard: an ASGI callable, whose ``service`` answers."""
    service = Service(settings, state)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(service.watch()) if settings.reload_s > 0 else None
        try:
            yield
        finally:
            if watching is not None:
                watching.cancel()
            for executor in (service.model_thread, service.threads):
                executor.shutdown(wait=False, cancel_futures=True)

    app = FastAPI(
        title="placevec", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan,
        description="Vectors of places, similar places and colored tiles.", redirect_slashes=False,
    )  # fmt: skip
    _add_errors(app)
    _add_routes(app, service)
    app.openapi = lambda: _described(app, settings)  # type: ignore[method-assign]
    guard = Guard(app, settings, service.counters, route_of)
    guard.service = service  # type: ignore[attr-defined]
    return guard


def route_of(path: str) -> str:
    """The name of a path in the counters.

    >>> route_of("/tiles/1/0/0"), route_of("/"), route_of("/../etc")
    ('tiles', 'page', 'other')
    """
    first = path.split("/", 2)[1] if path.startswith("/") else "?"
    name = _NAMED.get(first, first)
    return name if name in ROUTES else "other"


_NAMED = {"": "page", "openapi.json": "openapi", "tiles.json": "tiles", "info": "health"}


def _add_errors(app: FastAPI) -> None:
    """Every problem is one line of JSON, and none shows the inside."""

    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        print(f"placevec: unexpected {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)
        return JSONResponse({"error": "internal error; the service reports it on its standard error"}, 500)

    @app.exception_handler(PlacevecError)
    async def wrong(_: Request, error: PlacevecError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 400)

    @app.exception_handler(BusyError)
    async def busy(_: Request, __: BusyError) -> JSONResponse:
        return JSONResponse({"error": "too much waits for the model"}, 503, {"retry-after": "1"})

    @app.exception_handler(HTTPException)
    async def known(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"error": _line(error.errors())}, 422)

    @app.exception_handler(ValidationError)
    async def invalid_body(_: Request, error: ValidationError) -> JSONResponse:
        return JSONResponse({"error": _line(error.errors(include_url=False, include_input=False))}, 422)

    async def other(request: Request, error: Exception) -> JSONResponse:
        status: int = error.status_code  # type: ignore[attr-defined]
        headers = dict(getattr(error, "headers", None) or {})
        if status == 405:  # Starlette names the methods of the first route of a path alone
            routes = [one for one in app.routes if isinstance(one, APIRoute)]
            methods = [one.methods or () for one in routes if one.path_regex.match(request.url.path)]
            headers["allow"] = ", ".join(sorted(set().union(*methods)))
        return JSONResponse({"error": str(getattr(error, "detail", "not found"))}, status, headers)

    for status in (400, 404, 405, 413):  # of Starlette
        app.add_exception_handler(status, other)
    app.add_exception_handler(500, unexpected)


def _line(errors: Sequence[Any]) -> str:
    """The first error of pydantic in one line, and how many more there are."""
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("query", "body", "path"))
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where[:100]}: {first['msg']}{more}" if where else f"{first['msg']}{more}"


Name = Annotated[str | None, Query(max_length=200)]
PathPart = PathOf(ge=0, le=2**31)


def _add_routes(app: FastAPI, service: Service) -> None:
    answers_of: dict[str, Any] = {"responses": _PROBLEMS}

    @app.get("/health", summary="Whether the service answers", response_model=Health, **answers_of)
    async def health() -> Response:
        state = service.state
        if service.settings.digests:
            return JSONResponse({"status": "ok", "version": __version__})
        return JSONResponse(about(service, state))

    @app.get("/info", summary="Model, views and tables", response_model=Health, **answers_of)
    async def info() -> Response:
        return JSONResponse(about(service, service.state))

    @app.get("/metrics", summary="Counters for Prometheus", response_class=Response, **answers_of)
    async def metrics() -> Response:
        return Response(service.counters.text(_gauges(service.state)), media_type="text/plain; version=0.0.4")

    @app.post(
        "/embed",
        summary="Vectors of points, places, texts or an image",
        response_model=Embedded,
        **answers_of,
    )
    async def embed(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        content = await request.body()
        if kind == "application/json":
            state, vectors, read_as = await service.embed(EmbedRequest.model_validate_json(content))
        elif kind in IMAGES:
            view = UploadQuery.model_validate(dict(request.query_params)).view
            state, vectors, read_as = await service.embed_upload(content, IMAGES[kind], view)
        else:
            raise HTTPException(415, f"send application/json or one of {', '.join(IMAGES)}")
        service.counters.add("embedded", len(vectors))
        if NPY in request.headers.get("accept", ""):
            file = io.BytesIO()
            np.save(file, vectors)
            told = {"x-placevec-model": state.model.hash, "x-placevec-view": read_as}
            return Response(file.getvalue(), media_type=NPY, headers=told)
        return Response(embedded_json(state, vectors, read_as), media_type="application/json")

    @app.get("/similar", summary="The most similar places", response_class=GeoJson, **answers_of)
    async def similar(request: Request) -> Response:
        return GeoJson(await service.similar(asked_by(request.scope["query_string"].decode("latin-1"))))

    @app.post("/similar", summary="The most similar places", response_class=GeoJson, **answers_of)
    async def similar_to_body(asked: SimilarBody) -> Response:
        return GeoJson(await service.similar(asked))

    @app.get(
        "/places/{place_id:path}", summary="A place and its vectors", response_class=GeoJson, **answers_of
    )
    async def place(place_id: str, table: Name = None, vectors: bool = True) -> Response:
        state = service.state
        loaded, found = state.loaded(table), None
        told: dict[str, list[float]] = {}
        for view in loaded.views:
            row = loaded.of(view).row_of(place_id)
            if row is not None:
                found = loaded.of(view), row
                told |= (
                    {view: [float(f"{one:.9g}") for one in found[0].vectors[row].tolist()]} if vectors else {}
                )
        if found is None:
            raise HTTPException(404, f"there is no place {place_id[:100]!r}")
        return GeoJson(answers.feature(*found, state.attribution, told))

    @app.get("/tiles.json", summary="TileJSON 3.0 of the colored vectors", **answers_of)
    async def tilejson(request: Request, table: Name = None) -> dict[str, Any]:
        state = service.state
        loaded = state.loaded(table)
        more = "" if table is None else f"?table={table}"
        base = f"{request.url.scheme}://{request.headers.get('host', '')}"
        return {
            "tilejson": "3.0.0", "name": table or next(iter(state.tables)), "attribution": state.attribution,
            "tiles": [f"{base}/tiles/{{z}}/{{x}}/{{y}}{more}"], "minzoom": 0, "maxzoom": drawing.MAX_TILE_ZOOM,
            "bounds": _bounds(loaded.of(loaded.views[-1]).lonlat),
        }  # fmt: skip

    @app.get(
        "/tiles/{z}/{x}/{y}",
        summary="A tile in colors of vectors or predictions",
        response_class=Png,
        **answers_of,
    )
    async def tile(
        request: Request,
        z: Annotated[int, PathPart],
        x: Annotated[int, PathPart],
        y: str,
        table: Name = None,
        view: Name = None,
        show: Annotated[str, Query(pattern="^(vectors|predictions)$")] = "vectors",
        of_class: Annotated[str | None, Query(alias="class", max_length=500)] = None,
        year: Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)] = None,
    ) -> Response:
        row = y.removesuffix(".png")
        if not row.isascii() or not row.isdigit() or len(row) > 9:
            raise HTTPException(404, "a tile is /tiles/z/x/y")
        drawing.check_tile(z, x, int(row))
        if show == "vectors" and (of_class is not None or year is not None):
            raise UsageError("class and year are of show=predictions")
        wanted = (show, of_class, year)
        # a model is asked by one thread at a time
        executor = service.model_thread if show == "predictions" else service.threads
        content, told = await asyncio.get_running_loop().run_in_executor(
            executor, service.tile, service.state, table, view, z, x, int(row), wanted
        )
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = {
            "etag": tag,
            "cache-control": "no-cache",
            "x-placevec-colors": told.encode("ascii", "replace").decode(),
        }
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Png(content, headers=headers)

    @app.get("/", summary="The explorer", response_class=Response, **answers_of)
    async def page() -> Response:
        text, _ = await service.in_thread(service.page, service.state)
        return Response(text, media_type="text/html; charset=utf-8")

    @app.post("/words", summary="How far the places of the explorer stand out for words", **answers_of)
    async def words(asked: WordsQuery) -> dict[str, Any]:
        from placevec.explorer.words import WordQuery

        state = service.state
        if not has_words(state):
            raise UsageError("the model has no words")
        _, drawn = await service.in_thread(service.page, state)
        vector = (await service.texts((state, drawn.emb), [asked.text]))[0]
        found: dict[str, Any] = await service.in_thread(drawn.in_words, WordQuery(asked.text, vector))
        return found


_LISTS = ("like", "unlike", "filters")


def asked_by(query: str) -> SimilarQuery:
    """The search of a query string, which FastAPI would read in ten times the time.

    >>> asked_by("place=a&filters=lat>60&k=3").filters
    ['lat>60']
    """
    given: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, max_num_fields=3_000):
        if name in _LISTS:
            given.setdefault(name, []).append(value)
        elif name in given:
            raise UsageError(f"{name[:60]} is given twice")
        else:
            given[name] = value
    return SimilarQuery.model_validate(given)


def _parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """The fields of a model as parameters of a query."""
    told = model.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": schema} for name, schema in told.items()
    ]


def about(service: Service, state: State) -> dict[str, Any]:
    """What is served."""
    tables = [
        {"name": name, "view": view, "places": len(loaded.of(view)), "dim": loaded.of(view).dim}
        for name, loaded in state.tables.items()
        for view in loaded.views
    ]
    return {
        "status": "ok", "version": __version__, "model": state.model.hash, "views": state.model.dims, "tables": tables,
        "words": has_words(state), "attribution": state.attribution, "problem": service.problem,
    }  # fmt: skip


def embedded_json(state: State, vectors: Vectors, view: str) -> bytes:
    """JSON of vectors with the nine digits that float32 has; null where a vector is NaN."""
    rows = []
    for row in vectors.tolist():
        rows.append("null" if row[0] != row[0] else f"[{','.join(map('%.9g'.__mod__, row))}]")
    told = JSONResponse(
        {"model": state.model.hash, "view": view, "dim": vectors.shape[1], "attribution": state.attribution}
    ).body
    return bytes(told)[:-1] + b',"vectors":[' + ",".join(rows).encode() + b"]}"


def _bounds(lonlat: NDArray[np.float64]) -> list[float]:
    known = lonlat[np.isfinite(lonlat).all(axis=1)]
    return [] if not len(known) else [*known.min(axis=0).tolist(), *known.max(axis=0).tolist()]


def _gauges(state: State) -> list[tuple[str, str, str, float]]:
    found = [("model_info", "The model that is served", f"{{hash={label(state.model.hash)}}}", 1.0)]
    for name, loaded in state.tables.items():
        for view in loaded.views:
            labels = f"{{table={label(name)},view={label(view)}}}"
            found.append(("places", "Places of a table", labels, float(len(loaded.of(view)))))
    with contextlib.suppress(OSError, ValueError, AttributeError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        size = float(pages * os.sysconf("SC_PAGE_SIZE"))
        found.append(("resident_memory_bytes", "Memory of the worker that was asked", "", size))
    return found


_OBJECT: dict[str, Any] = {"schema": {"type": "object"}}
_CONTENTS: dict[str, dict[str, Any]] = {
    "/": {"text/html": {"schema": {"type": "string"}}},
    "/embed": {
        "application/json": {"schema": {"$ref": "#/components/schemas/Embedded"}},
        NPY: {"schema": {"type": "string", "format": "binary"}},
    },
    "/metrics": {"text/plain": {"schema": {"type": "string"}}},
    "/places/{place_id}": {GEOJSON: _OBJECT},
    "/similar": {GEOJSON: _OBJECT},
    "/tiles/{z}/{x}/{y}": {PNG: {"schema": {"type": "string", "format": "binary"}}},
}
"""What is sent with status 200, where it is not what FastAPI finds."""


def _described(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """The OpenAPI document, with all that /embed reads."""
    if app.openapi_schema:
        return app.openapi_schema
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _, told = models_json_schema([(EmbedRequest, "validation")], ref_template="#/components/schemas/{model}")
    found["components"]["schemas"] |= told["$defs"]
    found["paths"]["/similar"]["get"]["parameters"] = _parameters(SimilarQuery)
    found["paths"]["/embed"]["post"]["parameters"] = _parameters(UploadQuery)
    problem = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, methods in found["paths"].items():
        for operation in methods.values():
            for status, reply in operation["responses"].items():
                reply["content"] = problem if status != "200" else _CONTENTS.get(path, reply.get("content"))
    kinds = ("HTTPValidationError", "ValidationError")
    found["components"]["schemas"] = {
        name: schema for name, schema in found["components"]["schemas"].items() if name not in kinds
    }
    binary: dict[str, Any] = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in IMAGES}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/EmbedRequest"}}, **binary}
    found["paths"]["/embed"]["post"]["requestBody"] = {"required": True, "content": content}
    if settings.digests:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    app.openapi_schema = found
    return found
