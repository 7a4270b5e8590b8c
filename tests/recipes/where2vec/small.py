"""A dataset of chips, texts and entities: water is dark, forest is green, farmland bright, as the names say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from placevec.core import ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.datasets.places import Places
from placevec.datasets.views import text
from placevec.datasets.writer import write_dataset
from placevec.geo import Area, offset
from placevec.preparation.chips.shards import ChipWriter

PLACES, SIDE = 90, 16
TYPES = ("water/lake", "natural/forest", "farmland/field")
KINDS = np.arange(PLACES) % 3
NO_TEXT, NO_CHIP, NO_TYPE = 4, 7, 10
BANDS = ("B02", "B03", "B04", "B08")
_COLORS = np.array([[900, 700, 400, 200], [400, 900, 500, 4500], [1200, 1600, 2200, 2600]])


def texts_of(row: int) -> list[tuple[str, str, str]]:
    """(language, kind, text) of a place: two names that say what it is, and words."""
    number = f"{chr(97 + row // 26)}{chr(97 + row % 26)}"
    names = (("lake", "järvi"), ("forest", "metsä"), ("field", "pelto"))[KINDS[row]]
    return [
        ("en", "name", f"{number} {names[0]}"),
        ("fi", "name", f"{number} {names[1]}"),
        ("en", "words", names[0]),
    ]


def write_texts(path: Path, ids: list[str], skip: tuple[int, ...] = ()) -> None:
    """``text.parquet`` and ``entities.parquet``, in an order of their own."""
    rows = [
        (ids[row], language, kind, said, f"way/{row}")
        for row in reversed(range(len(ids)))
        if row not in skip
        for language, kind, said in texts_of(row)
    ]
    place, language, kind, said, entity = (list(column) for column in zip(*rows, strict=True))
    pq.write_table(
        pa.table({
            "place_id": place, "view": ["text"] * len(rows), "language": language, "kind": kind, "text": said,
            "entity_id": entity,
        }),
        path / text.FILE,
    )  # fmt: skip
    known = [row for row in range(len(ids)) if row != NO_TYPE]
    pq.write_table(
        pa.table(
            {"entity_id": [f"way/{row}" for row in known], "type": [TYPES[KINDS[row]] for row in known]}
        ),
        path / "entities.parquet",
    )


def write(path: Path, *, located: bool = True) -> Dataset:
    """90 places 2 km apart, one without a text, one without a chip, one of unknown type."""
    path.mkdir(parents=True)
    random = np.random.default_rng(0)
    east, north = np.meshgrid(np.arange(10) * 2000.0, np.arange(9) * 2000.0)
    lonlat = offset(np.full(PLACES, 25.0), np.full(PLACES, 60.0), east_m=east.ravel(), north_m=north.ravel())
    ids = [f"p{row:02d}" for row in range(PLACES)]
    writer = ChipWriter(path, "satellite", {"of": "this test"})
    for row in range(PLACES):
        if row != NO_CHIP:
            chip = _COLORS[KINDS[row]][:, None, None] + random.normal(0, 150, (4, SIDE, SIDE))
            writer.add(ids[row], chip.clip(0).astype(np.uint16), BANDS, source=f"{row}.tif")
    written = writer.finish()
    write_texts(path, ids, skip=(NO_TEXT,))
    views = {
        "satellite": {"spec": written.spec("satellite").as_dict(), "files": written.files},
        "text": {
            "spec": ViewSpec("text", "text", values=text.VALUES).as_dict(),
            "files": [text.FILE, "entities.parquet"],
        },
    }
    places = Places(
        np.array(ids, object), lonlat if located else np.full_like(lonlat, np.nan), np.array([None] * PLACES, object),
        160.0, "given",
    )  # fmt: skip
    (west, south), (east_, north_) = lonlat.min(axis=0) - 0.05, lonlat.max(axis=0) + 0.05
    return write_dataset(
        path, name="small", area=Area(west, south, east_, north_), places=places, names=np.array(ids, object),
        sources=[{"kind": "test", "attribution": "nobody"}], views=views, report={},
        created="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
