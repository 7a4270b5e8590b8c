"""Aerial chips out of tiles. Oracle: tiles whose colors are their own rows and columns, so that the middle of a chip must
show the position of its place within its tile (the formula of Web Mercator).
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from placevec import api
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.errors import SourceError, UsageError
from placevec.geo import Area, lonlat_to_tile_xy
from placevec.preparation.chips.aerial_options import AerialOptions
from tests.tile_servers import Asked, Reply, serving

LON, LAT, ZOOM = 24.9414, 60.1710, 17
OAM = Path("more/kampala_oam/oam_tiles_z19-21.zip")


def png(side: int = 256, alpha: int = 255) -> bytes:
    """Red counts columns, green counts rows, by 256 a side; blue is 7."""
    ramp = np.round(np.arange(side) * 256 / side).astype(np.uint8)
    pixels = np.full((side, side, 4), (0, 0, 7, alpha), np.uint8)
    pixels[:, :, 0], pixels[:, :, 1] = ramp[None, :], ramp[:, None]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def places(folder: Path, away: float = 0.0) -> Path:
    (folder / "places.csv").write_text(
        f"place_id,lon,lat\na,{LON + away},{LAT}\nb,{LON + 0.004 + away},{LAT + 0.001}\nfar,30.0,60.5\n"
    )
    return folder / "places.csv"


def check_middles(dataset: Dataset) -> None:
    view = dataset.view("aerial")
    pixels = view.read(Look(torch.arange(len(dataset)))).numpy()
    assert view.known.tolist() == [True, True, False]  # type: ignore[attr-defined]
    assert dataset.spec("aerial").channels == ("red", "green", "blue")
    within = lonlat_to_tile_xy(dataset.lonlat[:, 0], dataset.lonlat[:, 1], ZOOM) % 1.0 * 256
    middle = pixels[:2, :, 15:17, 15:17].mean((2, 3))
    np.testing.assert_allclose(middle[:, :2], within[:2], atol=1.5)
    np.testing.assert_allclose(middle[:, 2], 7.0, atol=0.01)


@pytest.mark.parametrize("name", ["{z}/{x}/{y}.png", "tile_{z}_{x}_{y}.png", "OAM-{x}-{y}-{z}.png"])
def test_folders_of_tiles(name: str, tmp_path: Path) -> None:
    """In three namings; the second tile has twice the pixels."""
    for at, east in enumerate((0.0, 0.004)):
        x0, y0 = np.floor(
            lonlat_to_tile_xy(np.array([LON + east]), np.array([LAT + east / 4]), ZOOM)[0]
        ).astype(int)
        for x in range(x0 - 1, x0 + 2):
            for y in range(y0 - 1, y0 + 2):
                path = tmp_path / "tiles" / name.format(x=x, y=y, z=ZOOM)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(png(512 if at else 256))
    given = {"places": places(tmp_path), "size_m": 20, "aerial_px": 32}
    dataset = api.prepare("mmgr", out=tmp_path / "dataset", aerial_tiles=str(tmp_path / "tiles"), **given)
    check_middles(dataset)
    assert dataset.manifest["report"]["aerial"]["places_without"]["outside the images"] == 1
    again = api.prepare("mmgr", out=tmp_path / "dataset", aerial_tiles=str(tmp_path / "tiles"), **given)
    assert again.hash == dataset.hash


def test_a_server_is_asked_for_what_the_chips_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The zoom follows from the pixels; a tile that is not there, and transparent ones, are no data."""
    monkeypatch.setenv("PLACEVEC_CACHE", str(tmp_path / "cache"))

    def answering(asked: Asked) -> Reply:
        x, y = lonlat_to_tile_xy(np.array([LON]), np.array([LAT]), asked.zoom)[0]
        if max(abs(asked.x - x), abs(asked.y - y)) > 100:
            return Reply(404)
        return Reply(body=png())

    given = {"places": places(tmp_path), "size_m": 20, "aerial_px": 32}
    with serving(answering) as server:
        dataset = api.prepare("mmgr", out=tmp_path / "dataset", aerial_tiles=server.template, **given)
        check_middles(dataset)
        assert {zoom for zoom, _, _ in server.asked} == {ZOOM}  # 0.6 m at 60 degrees
        assert len(server.asked) < 20
    with (
        serving(lambda asked: Reply(404)) as empty,
        pytest.raises(SourceError, match=r"tiles of .* could not be downloaded"),
    ):
        api.prepare("mmgr", out=tmp_path / "none", aerial_tiles=empty.template, **given)
    assert not (tmp_path / "none").exists()
    with (
        serving(lambda asked: Reply(body=png(alpha=0))) as clear,
        pytest.raises(SourceError, match="no place lies"),
    ):
        api.prepare("mmgr", out=tmp_path / "clear", aerial_tiles=clear.template, **given)


def test_what_is_refused(tmp_path: Path) -> None:
    for options, problem in (
        ({"aerial": (tmp_path,), "aerial_tiles": "tiles"}, "either --aerial or --aerial-tiles"),
        ({"aerial_zoom": 17}, "it needs --aerial-tiles"),
    ):
        with pytest.raises(UsageError, match=problem):
            AerialOptions(**options)
    (tmp_path / "masks" / "roads" / "17" / "1").mkdir(parents=True)
    (tmp_path / "masks" / "roads" / "17" / "1" / "1.png").write_bytes(png())
    with pytest.raises(SourceError, match="has layers"):
        api.prepare("mmgr", out=tmp_path / "d", places=places(tmp_path), aerial_tiles=str(tmp_path / "masks"))


def test_zooms_of_real_tiles_show_the_same(shared_data: Path, tmp_path: Path) -> None:
    """Kampala, OpenAerialMap: chips of zoom 20 and 21 of one place correlate above 0.95, those of two places do not."""
    with zipfile.ZipFile(shared_data / OAM) as archive:
        archive.extractall(tmp_path / "tiles")
    given = {"bbox": Area(32.5938, 0.3506, 32.5948, 0.3514), "spacing": 30.0, "size_m": 30, "aerial_px": 64}
    with pytest.raises(SourceError, match="choose one with --aerial-zoom"):
        api.prepare("mmgr", out=tmp_path / "d", aerial_tiles=str(tmp_path / "tiles"), **given)
    chips = {}
    for zoom in (20, 21):
        dataset = api.prepare(
            "mmgr", out=tmp_path / str(zoom), aerial_tiles=str(tmp_path / "tiles"), aerial_zoom=zoom, **given
        )
        view = dataset.view("aerial")
        rows = np.flatnonzero(view.known)  # type: ignore[attr-defined]
        pixels = view.read(Look(torch.from_numpy(rows))).numpy().reshape(len(rows), -1)
        chips[zoom] = dict(zip(dataset.place_ids[rows].tolist(), pixels, strict=True))
    both = sorted(set(chips[20]) & set(chips[21]))
    assert len(both) >= 3
    table = np.corrcoef([chips[20][name] for name in both], [chips[21][name] for name in both])
    same = table[: len(both), len(both) :]
    assert (np.diag(same) > 0.95).all()
    assert (same[~np.eye(len(both), dtype=bool)] < 0.7).all()
