"""Downloading tiles over loopback beside a bare client, memory as tiles become more, and planning a million of them.

The server is a process of its own that answers every address with one of 64 PNGs (an entirely bare one: no parsing of
headers, no file). Once it answers at once, and once as a server does that draws: 20 ms a tile, four at a time. The bare
client asks for the same tiles over as many connections with plain asyncio streams, and throws away what comes: it is
what the server can give. Ours checks every tile and keeps it, with its ETag and SHA-256, in the cache.
"""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.measure import Row, interleaved, peak_mb
from placevec.geo import Area, tiles_of_area
from placevec.sources.tiles.address import TileTemplate
from placevec.sources.tiles.cache import TileCache
from placevec.sources.tiles.download import download_tiles
from placevec.sources.tiles.plan import TilePlan

ZOOM, CONNECTIONS, DRAWING_S, AT_ONCE = 17, 8, 0.02, 4
READY, DRAWN, FEW, MANY = 4000, 800, 4000, 40_000


# --- the server ------------------------------------------------------------------------------------------------


def _pictures() -> list[bytes]:
    """64 palette PNGs of a map's size: blocks and lines, about 8 kB each."""
    from PIL import Image, ImageDraw

    random, found = np.random.default_rng(0), []
    for _ in range(64):
        image = Image.new("RGB", (256, 256), "#f2efe9")
        draw = ImageDraw.Draw(image)
        for x, y, w, h in random.integers(0, 256, (160, 4)).tolist():
            draw.rectangle((x, y, x + w // 8, y + h // 8), fill="#d9d0c9", outline="#c4b8ae")
            draw.line((x, y, w, h), fill="#ffffff", width=3)
        file = io.BytesIO()
        image.quantize(64).save(file, "PNG")
        found.append(file.getvalue())
    return found


async def _serve(drawing_s: float) -> None:
    answers = [
        b'HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nETag: "%d"\r\nContent-Length: %d\r\n\r\n%s'
        % (n, len(png), png)
        for n, png in enumerate(_pictures())
    ]
    drawers = asyncio.Semaphore(AT_ONCE)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                if drawing_s:
                    async with drawers:
                        await asyncio.sleep(drawing_s)
                number = (number + 1) % len(answers)
                writer.write(answers[number])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def _server(drawing_s: float) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.tile_server", "serve", str(drawing_s)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


# --- the clients -----------------------------------------------------------------------------------------------


async def _bare(port: int, count: int) -> None:
    left = count

    async def ask() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
            left -= 1
            writer.write(b"GET /hot/17/1/1.png HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r")[0]))
        writer.close()

    await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))


def _plan(count: int) -> TilePlan:
    return TilePlan(ZOOM, np.arange(count, dtype=np.int64))


def _ours(port: int, count: int) -> None:
    template = TileTemplate.parse(f"http://127.0.0.1:{port}/hot/{{z}}/{{x}}/{{y}}.png")
    with tempfile.TemporaryDirectory() as folder, TileCache(Path(folder) / "tiles.mbtiles", ZOOM) as cache:
        done = download_tiles(template, _plan(count), cache, connections=CONNECTIONS)
        assert done.fetched == count


def _peak_mb(port: int, count: int) -> float:
    """Peak resident memory of a fresh process that downloads ``count`` tiles."""
    command = [sys.executable, "-m", "benchmarks.tile_server", "download", str(port), str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _download_row(what: str, drawing_s: float, count: int, told: str) -> Row:
    with _server(drawing_s) as port:
        theirs, ours = interleaved(5, lambda: asyncio.run(_bare(port, count)), lambda: _ours(port, count))
    a, b = count / ours.median, count / theirs.median
    spread = f"{count / max(ours.seconds):,.0f} to {count / min(ours.seconds):,.0f}"
    counted = f"{count:,} tiles of about 8 kB, {CONNECTIONS} connections, {told}; checked and kept, the bare client throws away"
    return Row(what, a, b, "tiles/s", "bare asyncio sockets", a / b, spread, counted)


def _planning() -> None:
    area = Area(29.2, 49.8, 32.2, 51.5)  # Kyiv oblast
    tiles = tiles_of_area(area, ZOOM).astype(np.float64)
    plan = TilePlan.around(np.concatenate([tiles, tiles + 1], axis=1), ZOOM, 150.0)
    assert len(plan) > 1_000_000


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def rows() -> list[Row]:
    found = [
        _download_row(
            "tiles downloaded, server that draws", DRAWING_S, DRAWN, "20 ms a tile and four at a time"
        ),
        _download_row("tiles downloaded, ready tiles", 0.0, READY, "answered at once, two cores for both"),
    ]
    with _server(0.0) as port:
        few, many = _peak_mb(port, FEW), _peak_mb(port, MANY)
    found.append(
        Row(
            f"memory to download {MANY:,} tiles", many, few, "MB", f"{FEW:,} of them", few / many, "one run",
            "peak resident memory of the whole process",
        )
    )  # fmt: skip
    seconds = sorted(_timed(_planning) for _ in range(3))
    found.append(
        Row(
            "1,066,768 tiles planned", seconds[1], 5.0, "s", "the target", 5.0 / seconds[1],
            f"{seconds[0]:.2f} to {seconds[2]:.2f} s", "Kyiv oblast at zoom 17, a margin of 150 m, laying the tiles out included",
        )
    )  # fmt: skip
    return found


def main() -> None:
    if sys.argv[1] == "serve":
        asyncio.run(_serve(float(sys.argv[2])))
    else:
        _ours(int(sys.argv[2]), int(sys.argv[3]))
        print(peak_mb())


if __name__ == "__main__":
    main()
