"""Mapnik as a peer: masks rendered in another process, timed there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

PYTHON = "/usr/bin/python3"
MISSING = "Mapnik is not installed (apt-get install python3-mapnik): not compared with"


def installed() -> bool:
    """Whether the system's Python has Mapnik's bindings."""
    if not Path(PYTHON).exists():
        return False
    return subprocess.run([PYTHON, "-I", "-c", "import mapnik"], capture_output=True).returncode == 0


class Mapnik:
    """Renders the same squares again and again; their geometry is loaded before the first time."""

    def __init__(self, squares: Iterable[Sequence[str]], side: int, folder: Path) -> None:
        path = folder / "squares.jsonl"
        with open(path, "w") as file:
            file.writelines(json.dumps({"side": side, "shapes": list(shapes)}) + "\n" for shapes in squares)
        self._process = subprocess.Popen(
            [PYTHON, "-I", str(Path(__file__).with_name("mapnik_masks.py")), str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._line()

    def __enter__(self) -> Mapnik:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("Mapnik's process ended")
        return line

    def render(self) -> tuple[float, int]:
        """Seconds that rendering took, and pixels set."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        seconds, pixels = json.loads(self._line())
        return float(seconds), int(pixels)
