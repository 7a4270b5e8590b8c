"""What one process of the service holds, and how it answers: model, vectors, batches, and files that change."""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
from fastapi import HTTPException
from numpy.typing import NDArray

from placevec.api.asking import vector_of_upload, vectors_of_texts, view_of_images
from placevec.datasets.views.registry import reader_of
from placevec.embeddings import Embeddings
from placevec.errors import InputError, PlacevecError, UsageError
from placevec.inference.texts import embed_texts
from placevec.service import answers, drawing
from placevec.service.batching import Batcher
from placevec.service.counters import Counters
from placevec.service.requests import MAX_TEXTS, EmbedRequest, SimilarQuery, the_query
from placevec.service.settings import Settings
from placevec.service.state import State, open_state, signature_of

Vectors = NDArray[np.float32]
_SMALL = 64
"""Points that are embedded in the event loop by a model of coordinates."""
_KEPT_TILES = 1_000


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
            times = state.times_of([one.date for one in asked.points], [one.year for one in asked.points])
            return await self.embed_points(lonlat, times, asked.view)
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
                    f"placevec: the changed files cannot be used, so the earlier ones are still being served: {error}",
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
