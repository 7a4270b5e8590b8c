"""Every command that the pages for newcomers name does run, on small ground, with a tile server of their own."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from placevec.embeddings.search import available
from placevec.encoders.tile_cnn import FoundingTileCNN
from tests.cli.commands import options_of, run
from tests.models.importers.test_loc2vec import theirs

PAGE = Path(__file__).resolve().parent.parent / "docs" / "coming-from" / "loc2vec.md"
TEXT = PAGE.read_text("utf-8")
COMMANDS = [line for block in re.findall(r"```\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
WEST, SOUTH, EAST, NORTH = 24.936, 60.165, 24.945, 60.178
SMALLER = {
    "--min-lat": str(SOUTH), "--max-lat": str(NORTH), "--min-lon": str(WEST), "--max-lon": str(EAST),
    "--bbox": f"{EAST + 0.004},{SOUTH},{EAST + 0.008},{NORTH}", "--zoom": "17", "--num-samples": "120", "--samples": "30",
    "--samples-per-epoch": "16", "--batch-size": "8", "--max-places": "40", "--save-every": "1",
    "--near-degrees": "0.0001", "--far-degrees": "0.002", "--near-tiles": "1", "--far-tiles": "3", "--size-px": "64",
}  # fmt: skip
"""Options whose values would make a test long or lie elsewhere than the embedded extract."""


def _quietly(handler: type[SimpleHTTPRequestHandler]) -> type[SimpleHTTPRequestHandler]:
    class Quiet(handler):  # type: ignore[valid-type,misc]
        def log_message(self, *_: object) -> None: ...

    return Quiet


@pytest.fixture(scope="module")
def world(helsinki_tiles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """(folder, port): twelve layers of Helsinki as ready tiles, and a server of colored ones."""
    folder = tmp_path_factory.mktemp("coming-from")
    shutil.copytree(helsinki_tiles, folder / "12_layer_tiles")
    _checkpoint(folder / "best_model.pth")
    random = np.random.default_rng(0)
    for x in range(74612, 74624):
        for y in range(37930, 37946):
            file = folder / "www" / "hot" / "17" / str(x) / f"{y}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            small = random.integers(0, 255, (8, 8, 3), np.uint8)
            Image.fromarray(small).resize((256, 256), Image.Resampling.NEAREST).save(file)
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_quietly(SimpleHTTPRequestHandler), directory=str(folder / "www"))
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield folder, server.server_address[1]
    server.shutdown()


def _checkpoint(file: Path) -> None:
    """A file as the 12-layer code leaves it, for smaller tiles; its learned numbers do not matter here."""
    network = FoundingTileCNN(channels=12, dim=128, size_px=64).eval()
    torch.save({"epoch": 3, "model_state_dict": theirs("loc2vec-12", network)}, file)


def _words(command: str, folder: Path, port: int) -> list[str]:
    command = command.replace("YOUR_SERVER_IP:80", f"127.0.0.1:{port}").replace("YOUR_SERVER_IP", "127.0.0.1")
    words = shlex.split(command)[1:]
    for at, word in enumerate(words[:-1]):
        if word in SMALLER:
            words[at + 1] = SMALLER[word]
        if word == "--server-port":
            words[at + 1] = str(port)
        if word == "--epochs":
            words[at + 1] = "2" if "--resume-from" in words else "1"
        if word == "--resume-from":
            words[at + 1] = "runs/twelve/checkpoints/epoch-001"
        if word == "--tile":
            words[at + 1] = (
                next((folder / "12_layer_tiles").rglob("*.png"))
                .relative_to(next((folder / "12_layer_tiles").rglob("17")))
                .as_posix()
                .removesuffix(".png")
                .join(["17/", ""])
            )
    return words


def _run_elsewhere(words: list[str]) -> bool:
    """Whether another test runs this command: the demo on tiles, part by part, and the app in a browser."""
    return words[0] == "demo" or "--app" in words


@pytest.mark.slow
@pytest.mark.usefixtures("small_probes")
def test_every_command_runs(world: tuple[Path, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the page, each with exit code 0; then what they promise is there.

    `tests/cli/demo/test_command.py` runs the demo on tiles, `tests/app/test_screens.py` starts the app.
    """
    folder, port = world
    monkeypatch.chdir(folder)
    for command in COMMANDS:
        if "annoy" in command and not available("annoy"):  # see the test below
            continue
        words = _words(command, folder, port)
        if _run_elsewhere(words):
            continue
        code, printed = run(words)
        assert code == 0, f"{command}\n{printed}"
    assert (folder / "visualizations/kyiv/embeddings_map.html").stat().st_size > 10_000
    assert (folder / "visualizations/kyiv/embeddings.geojson").exists()
    assert (folder / "twelve.html").stat().st_size > 100_000
    assert len(list((folder / "my_visualizations").glob("*.png"))) > 3
    assert (folder / "kyiv-old.parquet").exists()
    assert (folder / "twelve.precomputed/map-umap-3d.npy").exists()


@pytest.mark.slow
@pytest.mark.skipif(
    not available("annoy"), reason='Annoy is missing: pip install "placevec[annoy]" compiles it'
)
def test_commands_with_annoy_ran(world: tuple[Path, int]) -> None:
    """After the test above: trees of both numbers, and places that they found."""
    folder, _ = world
    kept = {file.name for file in (folder / "twelve.precomputed").glob("*.ann")}
    assert {"map-annoy-angular-200.ann", "map-annoy-euclidean-200.ann", "map-annoy-angular-500.ann"} <= kept
    assert len(json.loads((folder / "like-it.geojson").read_text())["features"]) > 10


def test_every_flag_of_the_tables_is_known() -> None:
    """Each option of a table's second column is one of the verbs that its heading or its commands name."""
    seen, verbs = 0, []
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or len(cells) < 2 or cells[0].startswith("---"):
            continue
        named = re.findall(r"placevec ([a-z-]+)", cells[1])
        if named and not line.startswith("| `--"):
            verbs = named
        for flag in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", cells[1]):
            known = {option for verb in verbs for option in options_of(verb)}
            known.add("--logdir")  # of tensorboard
            assert flag in known, f"{flag} is no option of {verbs}: {line}"
            seen += 1
    assert seen > 40
