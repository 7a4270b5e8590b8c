"""The tutorials of cells: every command, shortened. Helsinki from the extract of a package; Olinda where its data are."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest

from placevec import cli
from placevec.embeddings import load

PAGES = Path(__file__).resolve().parent.parent / "docs" / "tutorials"
FEWER = ["--epochs", "1", "--steps-per-epoch", "2", "--projector", "0"]


def blocks(page: str, language: str) -> list[str]:
    text = (PAGES / page).read_text("utf-8")
    return [
        block
        for name, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        if name == language
    ]


def run(page: str, more: dict[str, list[str]]) -> None:
    """The commands of a page in its order, the last of twice given options winning as in a shell."""
    for block in blocks(page, ""):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line)[1:]
            if not line.startswith("placevec "):
                continue
            for flag, value in zip(*[iter(more.get(words[0], []))] * 2, strict=True):
                if flag in words:
                    words[words.index(flag) + 1] = value
                else:
                    words += [flag, value]
            assert (
                cli.main([*words, *([] if words[0] == "info" else ["-q"] if words[0] in QUIET else [])]) == 0
            ), line


QUIET = ("prepare", "train", "embed", "evaluate", "predict", "explore")


@pytest.mark.usefixtures("small_probes")
def test_helsinki(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run("mmgr-helsinki.md", {"prepare": ["--spacing", "120"], "train": FEWER})
    said = capsys.readouterr().out
    assert "food/cafe" in said
    table = load("cells.parquet")
    assert {"fused", "map", "pois"} <= set(table.tables)  # type: ignore[union-attr]
    assert (tmp_path / "categories.png").stat().st_size > 20_000
    assert "pois only" in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.usefixtures("small_probes")
def test_olinda(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Published: area alone has an R2 of .62 on blocks, within the difference that the choice of blocks makes."""
    if not (shared_data / "more" / "olinda").is_dir():
        pytest.skip("no tracts of Olinda in the shared data")
    shutil.copytree(shared_data / "more" / "olinda", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for block in blocks("mmgr-olinda.md", "python"):
        exec(block, {})
    assert len(geopandas.read_file("tracts.gpkg")) == 470
    run("mmgr-olinda.md", {"train": FEWER, "evaluate": ["--seeds", "1", "--budget", "quick"]})
    report = (tmp_path / "report" / "report.md").read_text()
    area = float(re.search(r"\| polygon area \| *(-?\d*\.\d+)", report)[1])  # type: ignore[index]
    assert 0.5 < area < 0.7
    found = pd.read_parquet(tmp_path / "density" / "predictions.parquet")
    assert len(found) >= 469
    assert np.isfinite(found["prediction"]).all()
