"""How long ``import placevec`` and ``placevec --help`` take, each a fresh process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.measure import Row, interleaved


def rows() -> list[Row]:
    command = str(Path(sys.executable).with_name("placevec"))

    def run(*arguments: str) -> None:
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)

    bare, ours, pandas, helped, torch = interleaved(
        7,
        lambda: run(sys.executable, "-c", "pass"),
        lambda: run(sys.executable, "-c", "import placevec"),
        lambda: run(sys.executable, "-c", "import geopandas"),
        lambda: run(command, "--help"),
        lambda: run(sys.executable, "-c", "import torch"),
    )
    counted = f"whole process; python itself takes {bare.median:.3f} s"
    return [
        Row(
            "import placevec",
            ours.median,
            pandas.median,
            "s",
            "import geopandas",
            pandas.median / ours.median,
            ours.spread,
            counted,
        ),
        Row(
            "placevec --help",
            helped.median,
            torch.median,
            "s",
            "import torch",
            torch.median / helped.median,
            helped.spread,
            counted,
        ),
    ]
