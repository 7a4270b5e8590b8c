"""Still plots: which are written, that their texts are harmless, and that dots have the legend's colors."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from placevec.embeddings import Provenance
from placevec.errors import InputError, MissingExtraError
from placevec.explorer import reductions
from placevec.explorer.coloring import COLORS
from placevec.explorer.figures import plots
from placevec.explorer.reductions import Reduction, principal_components
from tests.explorer.conftest import Written
from tests.explorer.writers import write_plots

HOSTILE = ["_hidden", r"$\frac{a}{", "Київ", "日本\u202e", "</b>\n", "x" * 300]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures, and UMAP stood in for, which numba compiles for half a minute: `test_reductions` runs it."""
    monkeypatch.setattr(plots, "DOTS", 60)

    def stand_in(vectors: np.ndarray, dim: int, seed: int, progress: object) -> Reduction:
        return Reduction("umap", principal_components(vectors)[0][:, :dim], (), f"seed {seed}")

    monkeypatch.setattr(reductions, "_umap", stand_in)


def columns(count: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame({
        "../../etc/passwd": [HOSTILE[row % len(HOSTILE)] for row in range(count)],
        "$x_": np.where(random.random(count) < 0.2, np.nan, random.normal(size=count)),
        "日本": random.random(count),
    })  # fmt: skip


def test_every_projection_in_every_coloring(written: Written, tmp_path: Path) -> None:
    emb = written.emb[:60]
    report = write_plots(emb, tmp_path, dataset=written.dataset, columns=columns(60), clusters=3)  # type: ignore[arg-type]
    kinds = {name.split("-", 1)[1] for name in report.files}
    assert {"cluster.png", "dominant-layer.png", "content-density.png", "etc-passwd.png", "x.png"} <= kinds
    assert any(name.startswith("spatial-block") for name in kinds)
    assert {name.split("-")[0] for name in report.files} == {"pca", "tsne", "umap"}
    assert len(report.files) == len(set(report.files)) == 3 * 7
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(report.files)
    for name in report.files:
        with Image.open(tmp_path / name) as picture:
            assert picture.size == (600, 450)
            assert "OpenStreetMap" in picture.info["Copyright"]


def test_dots_and_legend_have_the_colors_of_the_categories(written: Written, tmp_path: Path) -> None:
    """Oracle: the palette; each color is in the plot and in the legend, in proportion to how many there are."""
    column = pd.DataFrame({"kind": np.r_[np.full(600, "many"), np.full(300, "few")]})
    write_plots(written.emb, tmp_path, columns=column, methods=["pca"], clusters=1)
    picture = np.asarray(Image.open(tmp_path / "pca-kind.png").convert("RGB"), int)
    counts = []
    for color in COLORS[:2]:
        rgb = np.array([int(color[at : at + 2], 16) for at in (0, 2, 4)])
        near = np.abs(picture - rgb).sum(axis=2) < 90
        assert near[:, 410:440].sum() > 5, "the legend's dot"
        counts.append(int(near[:, :405].sum()))
    assert counts[0] > 1.3 * counts[1] > 100


def test_texts_are_drawn_as_they_are(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Matplotlib is given: no mathematics, no label that it would leave out, the attribution whole."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    seen: list[tuple[str, bool]] = []
    drawn = FigureCanvasAgg.print_png

    def look(self: FigureCanvasAgg, *arguments: Any, **options: Any) -> None:
        from matplotlib.text import Text

        seen.extend(
            (one.get_text(), one.get_parse_math()) for one in self.figure.findobj(Text) if one.get_text()
        )
        drawn(self, *arguments, **options)

    monkeypatch.setattr(FigureCanvasAgg, "print_png", look)
    credit = "; ".join(f"© Source {n} of many" for n in range(40))
    emb = replace(written.emb[:60], provenance=Provenance("a", "b", attribution=credit))
    write_plots(
        emb,
        tmp_path,
        columns=columns(60),
        methods=["pca"],
        clusters=2,
        title="$title^",
        max_places=50,
        seed=4,
    )
    texts = [text for text, _ in seen]
    assert any("_hidden" in text for text in texts)
    assert any(r"$\frac{a}{" in text for text in texts)
    assert not any(math for text, math in seen if "$" in text or "\\" in text)
    assert any(credit == " ".join(text.split()) for text in texts)
    assert any("50 of 60 places, sampled with seed 4" in text for text in texts)
    assert "$title^" in texts
    assert not any(len(text) > 130 for text in texts if "\n" not in text)
    assert not any("\u202e" in text for text in texts)


def test_too_few_places_are_reported(written: Written, tmp_path: Path) -> None:
    report = write_plots(written.emb[:4], tmp_path, clusters=2)
    assert [line.split(" ")[0] for line in report.skipped] == ["t-SNE", "UMAP"]
    assert all(name.startswith("pca-") for name in report.files)


def test_what_is_missing_is_reported_before_the_work(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="got 'som'"):
        write_plots(written.emb, tmp_path, methods=["som"])  # type: ignore[list-item]
    there = importlib.util.find_spec
    for package in ("matplotlib", "umap"):
        with monkeypatch.context() as patch:
            patch.setattr(
                importlib.util, "find_spec", lambda name, gone=package: None if name == gone else there(name)
            )
            with pytest.raises(MissingExtraError, match=r'pip install "placevec\[explore\]"'):
                write_plots(written.emb, tmp_path)
    assert list(tmp_path.iterdir()) == []
