"""One shard from drawings to files: what its part tells, and what an empty one leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from placevec.datasets.views.raster.shards import SHARD_PX, read_shard_table
from placevec.geo.polylines import Paths
from placevec.io.jobs import Parts
from placevec.preparation.rasterize.shard_job import ShardJob, burn_shard
from placevec.preparation.rasterize.shard_parts import read_part
from placevec.preparation.rasterize.spool import SEA, Drawings, Spool
from placevec.sources.osm.layers import How

ZOOM, SHARD = 12, (5, 7)
CORNER = np.array(SHARD) * float(SHARD_PX)
ALL = (0, 0, 2**ZOOM - 1, 2**ZOOM - 1)


def square(x: float, y: float, side: float) -> np.ndarray:
    return np.array([[x, y], [x, y + side], [x + side, y + side], [x + side, y]]) + CORNER


def job(tmp_path: Path, *fills: tuple[int, int, np.ndarray]) -> ShardJob:
    """A job for (channel, how, ring) drawings: bands a and b, and one label class."""
    spool = Spool(tmp_path / "spool", ZOOM, [ALL])
    channel, how, rings = zip(*fills, strict=True)
    paths = Paths.of([[ring] for ring in rings])
    spool.add(
        Drawings(
            np.array(channel, np.uint8), np.array(how, np.uint8), np.zeros(len(rings), np.float32), paths
        )
    )
    spool.flush()
    return ShardJob(
        tmp_path / "spool", tmp_path / "map" / "5_7.tif", Parts(tmp_path / "parts", "key"), SHARD, ZOOM, (ALL,),
        ("a", "b"), 3, (True, False),
    )  # fmt: skip


def part_blocks(some: ShardJob) -> dict[tuple[int, int, int], np.ndarray]:
    """Coverage cells by channel, row and column of the block, decoded by pyarrow."""
    import pyarrow as pa

    codec = pa.Codec("zstd")
    return {
        (channel, row, column): np.frombuffer(codec.decompress(raw, 65536, asbytes=True), np.uint8).reshape(
            256, 256
        )
        for channel, row, column, raw in read_part(some.parts, SHARD).coverage
    }


def test_the_map_holds_the_bands_and_the_part_the_label_class_too(tmp_path: Path) -> None:
    some = job(
        tmp_path, (0, How.FILL, square(256, 512, 256)), (1, How.FILL, square(5000, 0, 8)),
        (2, How.FILL, square(16000, 16000, 16)),
    )  # fmt: skip
    assert burn_shard(some) == SHARD
    assert read_shard_table(some.target, ZOOM, 2).band.tolist() == [1, 0]  # sorted by tile
    with rasterio.open(some.target) as file:
        assert file.read(1).sum() == 256 * 256
        assert file.read(2).sum() == 64
    blocks = part_blocks(some)
    assert sorted(blocks) == [(0, 0, 0), (1, 0, 1), (2, 3, 3)]
    assert np.array_equal(np.argwhere(blocks[0, 0, 0] == 255)[[0, -1]], [[32, 16], [47, 31]])
    assert blocks[2, 3, 3].sum() == 255  # one whole cell
    assert blocks[1, 0, 1].max() == round(255 * 64 / 256) or blocks[1, 0, 1].sum() == pytest.approx(64, abs=2)


def test_only_bands_that_count_make_content_and_never_the_sea(tmp_path: Path) -> None:
    some = job(
        tmp_path, (0, How.FILL, square(300, 600, 10)), (1, How.FILL, square(5000, 0, 8)),
        (0, SEA, square(2000, 2000, 900)), (2, How.FILL, square(9000, 0, 8)),
    )  # fmt: skip
    burn_shard(some)
    assert read_part(some.parts, SHARD).tiles.tolist() == [[5 * 64 + 1, 7 * 64 + 2]]


def test_a_shard_of_labels_alone_has_no_map_file(tmp_path: Path) -> None:
    some = job(tmp_path, (2, How.FILL, square(300, 600, 10)))
    burn_shard(some)
    part = read_part(some.parts, SHARD)
    assert part.is_empty
    assert len(part.coverage) == 1
    assert not some.target.exists()


def test_tiles_outside_of_the_ranges_stay_empty(tmp_path: Path) -> None:
    some = replace(
        job(tmp_path, (0, How.FILL, square(0, 0, 2000))), ranges=((5 * 64 + 1, 7 * 64, 5 * 64 + 1, 7 * 64),)
    )
    burn_shard(some)
    with rasterio.open(some.target) as file:
        pixels = file.read(1)
    assert pixels.sum() == 256 * 256
    assert pixels[:256, 256:512].all()


def test_the_same_shard_gives_the_same_bytes(tmp_path: Path) -> None:
    some = job(tmp_path, (0, How.FILL, square(300, 600, 100)))
    burn_shard(some)
    first = some.target.read_bytes(), some.parts.get("shard-5_7")
    burn_shard(some)
    assert (some.target.read_bytes(), some.parts.get("shard-5_7")) == first
