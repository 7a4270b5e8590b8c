"""The application: its routes, and what each does between a request and its answer."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl

import numpy as np
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi import Path as PathOf
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from placevec._version import __version__
from placevec.errors import PlacevecError, UsageError
from placevec.service import answers, drawing
from placevec.service.batching import BusyError
from placevec.service.counters import ROUTES, label
from placevec.service.guard import Guard
from placevec.service.openapi import GEOJSON, IMAGES, NPY, PNG, openapi_of
from placevec.service.requests import (
    Embedded,
    EmbedRequest,
    Health,
    Problem,
    SimilarBody,
    SimilarQuery,
    UploadQuery,
    Words,
)
from placevec.service.settings import Settings
from placevec.service.state import State
from placevec.service.worker import Service, Vectors, has_words

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": meaning}
    for status, meaning in (
        (400, "The request cannot be answered"), (401, "A token is missing"), (403, "Another host or "
        "site"), (404, "Unknown"),
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


class WordsQuery(BaseModel):
    """Words that the explorer's page asks for."""

    text: Words


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
    app.openapi = lambda: openapi_of(app, settings)  # type: ignore[method-assign]
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
        return JSONResponse({"error": "internal error; the service prints it to standard error"}, 500)

    @app.exception_handler(PlacevecError)
    async def wrong(_: Request, error: PlacevecError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 400)

    @app.exception_handler(BusyError)
    async def busy(_: Request, __: BusyError) -> JSONResponse:
        return JSONResponse(
            {"error": "too many requests are waiting for the model"}, 503, {"retry-after": "1"}
        )

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
        summary="A tile in the colors of vectors or predictions",
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
            raise HTTPException(404, "a tile has the address /tiles/z/x/y")
        drawing.check_tile(z, x, int(row))
        if show == "vectors" and (of_class is not None or year is not None):
            raise UsageError("class and year apply to show=predictions")
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

    @app.post("/words", summary="How far the explorer's places stand out for given words", **answers_of)
    async def words(asked: WordsQuery) -> dict[str, Any]:
        from placevec.explorer.words import WordQuery

        state = service.state
        if not has_words(state):
            raise UsageError("the model reads no words")
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
