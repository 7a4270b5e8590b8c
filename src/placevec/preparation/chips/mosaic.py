"""Which scenes make the chip of a place: the least cloudy one that covers it; gaps at its edge come from others.

In each round every unfinished place asks for its next scene; each scene is opened once for all that ask for it. A scene
that fails in the middle is given up, and its places go on with their next one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from placevec.errors import PlacevecError, SourceError
from placevec.sources.imagery.clouds import MODEL
from placevec.sources.imagery.ground import Square, degrees_around
from placevec.sources.imagery.scenes import Scene
from placevec.sources.imagery.sentinel2 import Chip
from placevec.sources.imagery.stac import Box, overlap

MAX_TRIES = 24
"""Scenes that are looked at for one chip."""
NO_SCENE, CLOUDS, GAPS, UNREADABLE = (
    "no scene covers them", "all scenes show too much cloud", "all scenes have gaps there", "their scenes cannot be read",
)  # fmt: skip
"""Why places have no chip."""
SCENE_CLASSES = "SCL"
CloudsOf = Callable[[Scene, Chip], NDArray[np.bool_] | None]


class Reading(Protocol):
    """What reads scenes: `SceneReader`."""

    def read(self, scene: Scene, squares: Sequence[Square]) -> list[Chip]:
        """The chips of a scene, one per square; SourceError if it cannot be read."""
        ...


@dataclass(frozen=True)
class Limits:
    """What a chip must have: maximum shares of cloud and of pixels without data, and how many chips a place gets."""

    cloud: float = 0.1
    nodata: float = 0.05
    chips: int = 1


@dataclass(frozen=True)
class Finished:
    """A chip of a place.

    Attributes:
        place_id: the place.
        square: what it shows.
        pixels: (C, H, W) reflectance x 10,000; 0 is no data.
        scenes: that it is made of, the main one first.
        nodata, cloud: share of its pixels; cloud is None if unknown.
    """

    place_id: str
    square: Square
    pixels: NDArray[np.uint16]
    scenes: tuple[Scene, ...]
    nodata: float
    cloud: float | None


@dataclass
class Outcome:
    """What became of the places and scenes.

    Attributes:
        without: reason -> number of places that got no chip.
        dead: id of a scene -> why it could not be read.
        cloudy_by: what shows the clouds -> number of chips that it rejected.
        max_in_a_row: consecutive scenes that may fail before the job stops; None: any number.
    """

    without: Counter[str] = field(default_factory=Counter)
    dead: dict[str, str] = field(default_factory=dict)
    cloudy_by: Counter[str] = field(default_factory=Counter)
    max_in_a_row: int | None = None
    _in_a_row: int = 0

    def failed(self, scene: Scene, error: SourceError) -> None:
        """Note a scene that cannot be read.

        Raises:
            PlacevecError: too many in a row; the job can go on later.
        """
        self.dead[scene.id] = str(error)
        self._in_a_row += 1
        if self.max_in_a_row is not None and self._in_a_row >= self.max_in_a_row:
            raise PlacevecError(
                f"{self._in_a_row} scenes in a row cannot be read: {error}; scenes read so far are kept; run the "
                f"same command "
                "again to continue"
            ) from error

    def read(self) -> None:
        """Note that a scene was read."""
        self._in_a_row = 0


def mosaics(
    places: Mapping[str, Square],
    scenes: Sequence[Scene],
    reader: Reading,
    limits: Limits,
    clouds_of: CloudsOf,
    outcome: Outcome,
) -> Iterator[Finished]:
    """The chips of some places near one another, as they are finished.

    Args:
        places: place_id -> the square that it wants.
        scenes: all there are, least cloudy first.
        reader: reads them.
        limits: of cloud and gaps.
        clouds_of: where a chip shows cloud or shadow, or None if that is unknown.
        outcome: receives what became of the rest.

    Raises:
        PlacevecError: too many scenes fail, see `Outcome`.
    """
    waiting = [_Place(name, square, scenes, limits, clouds_of) for name, square in places.items()]
    while waiting:
        asked: dict[str, tuple[Scene, list[_Place]]] = {}
        for place in waiting:
            scene = place.next_scene(outcome.dead)
            if scene is not None:
                asked.setdefault(scene.id, (scene, []))[1].append(place)
        for scene, those in asked.values():
            try:
                chips = reader.read(scene, [place.square for place in those])
            except SourceError as error:
                outcome.failed(scene, error)
                continue
            outcome.read()
            for place, chip in zip(those, chips, strict=True):
                if place.take(scene, chip):
                    outcome.cloudy_by[SCENE_CLASSES if chip.classes is not None else MODEL] += 1
                yield from place.finished()
        going_on = []
        for place in waiting:
            if place.next_scene(outcome.dead) is not None:
                going_on.append(place)
                continue
            yield from place.finished()
            if not place.made:
                outcome.without[place.reason] += 1
        waiting = going_on


class _Place:
    """One place on its way to its chips."""

    def __init__(
        self, name: str, square: Square, scenes: Sequence[Scene], limits: Limits, clouds_of: CloudsOf
    ) -> None:
        self.name, self.square, self._limits, self._clouds_of = name, square, limits, clouds_of
        box = degrees_around(square)
        around = [(order, scene) for order, scene in enumerate(scenes) if overlap(box, scene.bounds)]
        whole = _dates_that_cover(box, [scene for _, scene in around])
        self._left = {scene.id: (scene.date not in whole, order, scene) for order, scene in around}
        self._covered = bool(self._left)
        self._reasons: set[str] = set()
        self._ready: list[Finished] = []
        self.made = 0
        self._begin()

    def _begin(self) -> None:
        self._mosaic: _Mosaic | None = None
        self._tried: set[str] = set()

    @property
    def reason(self) -> str:
        """Why it got no chip."""
        return (
            NO_SCENE
            if not self._covered
            else next((reason for reason in (CLOUDS, GAPS) if reason in self._reasons), UNREADABLE)
        )

    def next_scene(self, dead: Mapping[str, str]) -> Scene | None:
        """The scene to look at next; None if it is done, one way or the other."""
        while self.made < self._limits.chips:
            date = None if self._mosaic is None else self._mosaic.scenes[0].date
            choice = [
                (date is not None and scene.date != date, order_of_cover, order, scene.id)
                for order_of_cover, order, scene in self._left.values()
                if scene.id not in dead and scene.id not in self._tried
            ]
            if choice and len(self._tried) < MAX_TRIES:
                best = min(choice)
                if self._mosaic is None or not best[0] or self._mosaic.nodata > self._limits.nodata:
                    return self._left[best[3]][2]
            if self._mosaic is None:
                return None
            self._close(self._mosaic)
        return None

    def take(self, scene: Scene, chip: Chip) -> bool:
        """Use what a scene shows of it; whether that is too much cloud."""
        self._tried.add(scene.id)
        if chip.empty.all():
            self._reasons.add(GAPS)
            self._left.pop(scene.id)
            return False
        cloudy = self._clouds_of(scene, chip)
        if self._mosaic is None:
            first = _Mosaic(scene, chip, cloudy)
            if (first.cloud or 0.0) > self._limits.cloud:
                self._reasons.add(CLOUDS)
                self._left.pop(scene.id)
                return True
            self._mosaic = first
        else:
            self._mosaic.fill(scene, chip, cloudy, self._limits.cloud)
        if self._mosaic.nodata == 0:
            self._close(self._mosaic)
        return False

    def _close(self, mosaic: _Mosaic) -> None:
        """Keep a mosaic that is as whole as it can be, or go on without its first scene."""
        base = mosaic.scenes[0]
        if mosaic.nodata <= self._limits.nodata:
            self._ready.append(
                Finished(
                    self.name, self.square, mosaic.pixels, tuple(mosaic.scenes), mosaic.nodata, mosaic.cloud
                )
            )
            self.made += 1
            for name, (_, _, scene) in list(self._left.items()):  # the next one shows another date
                if scene.date == base.date:
                    del self._left[name]
        else:
            self._reasons.add(GAPS)
            self._left.pop(base.id, None)
        self._begin()

    def finished(self) -> Iterator[Finished]:
        """The chips that are ready, each once."""
        ready, self._ready = self._ready, []
        yield from ready


class _Mosaic:
    """The pixels of one chip so far."""

    def __init__(self, scene: Scene, chip: Chip, cloudy: NDArray[np.bool_] | None) -> None:
        self.scenes = [scene]
        self.pixels = chip.pixels.copy()
        self._cloudy = None if cloudy is None else cloudy & ~chip.empty

    @property
    def nodata(self) -> float:
        """Share of pixels without data."""
        return float((self.pixels[0] == 0).mean())

    @property
    def cloud(self) -> float | None:
        """Share of the pixels with data under cloud or shadow; None if unknown."""
        if self._cloudy is None:
            return None
        return float(self._cloudy.sum() / max(1, int((self.pixels[0] != 0).sum())))

    def fill(self, scene: Scene, chip: Chip, cloudy: NDArray[np.bool_] | None, most: float) -> None:
        """Fill gaps from another scene, unless that brings too much cloud."""
        gaps = (self.pixels[0] == 0) & ~chip.empty
        if not gaps.any():
            return
        before = self.pixels.copy(), self._cloudy
        self.pixels[:, gaps] = chip.pixels[:, gaps]
        if self._cloudy is not None and cloudy is not None:
            self._cloudy = self._cloudy | (cloudy & gaps)
        if (self.cloud or 0.0) > most:
            self.pixels, self._cloudy = before
        else:
            self.scenes.append(scene)


def _dates_that_cover(box: Box, scenes: Sequence[Scene]) -> set[str]:
    """The dates whose scenes cover a box in degrees, alone or together."""
    import shapely

    by_date: dict[str, list[Scene]] = {}
    for scene in scenes:
        by_date.setdefault(scene.date, []).append(scene)
    return {
        date
        for date, those in by_date.items()
        if any(_within(box, scene.bounds) for scene in those)
        or (
            len(those) > 1
            and box[0] <= box[2]
            and shapely.covers(
                shapely.union_all(
                    [shapely.box(*scene.bounds) for scene in those if scene.bounds[0] <= scene.bounds[2]]
                ),
                shapely.box(*box),
            )
        )
    }


def _within(box: Box, other: Box) -> bool:
    """Whether a box in degrees lies within another; false across the antimeridian, where only the order suffers."""
    return (
        box[0] <= box[2]
        and other[0] <= box[0]
        and box[2] <= other[2]
        and other[1] <= box[1]
        and box[3] <= other[3]
    )
