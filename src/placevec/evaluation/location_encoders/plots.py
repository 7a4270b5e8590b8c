"""The results as still pictures: one a task, and one of corrected forms against their originals."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from placevec.errors import MissingExtraError
from placevec.evaluation.bootstrap import Score
from placevec.evaluation.location_encoders.compare import OVERALL, Group, corrections
from placevec.evaluation.location_encoders.strata import ANTIMERIDIAN, POLES
from placevec.evaluation.point_baselines import BASELINES
from placevec.io.atomic import replacing

_INK, _QUIET, _PAPER = "#1b2024", "#626a70", "#ffffff"
_CORRECTED, _ORIGINAL, _BASELINE = "#1f6f8b", "#c9722b", "#8a9096"
_DOTS = 130


def require_plots() -> None:
    """MissingExtraError when Matplotlib is not installed: told before the work."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "benchmark")


def write_plots(groups: Sequence[Group], out: Path) -> list[Path]:
    """Write ``TASK.png`` for every task and ``corrected-against-original.png``, each whole or not at all."""
    require_plots()
    written = []
    for task in dict.fromkeys(group.task for group in groups):
        path = out / f"{task}.png"
        _task_picture([group for group in groups if group.task == task], path)
        written.append(path)
    if corrections(groups):
        path = out / "corrected-against-original.png"
        _corrections_picture(groups, path)
        written.append(path)
    return written


def _task_picture(groups: Sequence[Group], path: Path) -> None:
    """A panel for each kind of folds and probe: every encoder with its interval, the best baseline as a line."""
    found = [row.name for group in groups for row in group.rows]
    names = list(dict.fromkeys(sorted(found, key=lambda name: name in BASELINES)))  # baselines last
    height = 1.6 + 0.21 * len(names)
    figure = _figure(3.4 * len(groups) + 1.8, height)
    for place, group in enumerate(groups):
        left, width = 1.8 / (3.4 * len(groups) + 1.8), 3.4 / (3.4 * len(groups) + 1.8)
        axes = figure.add_axes((left + place * width, 0.6 / height, width * 0.88, 1.0 - 1.5 / height))
        for place_of_row, name in enumerate(names):
            if group.has(name):
                color = _ORIGINAL if name.endswith("(original)") else _CORRECTED
                color = _BASELINE if name in BASELINES else color
                _bar(axes, group.row(name).score, len(names) - place_of_row, color)
        best = group.row(group.best_baseline).score.value
        axes.axvline(best, color=_BASELINE, linewidth=0.8, linestyle="--", zorder=0)
        _plain(axes, f"folds of {group.scheme}, {group.probe}", group.metric)
        axes.set_ylim(0.3, len(names) + 0.7)
        axes.set_yticks(range(len(names), 0, -1))
        axes.set_yticklabels(names if place == 0 else [], size=7.5)
        lows = sorted(row.score.low for row in group.rows)
        axes.set_xlim(left=max(lows[0], -0.25) - 0.02)
    figure.text(
        0.02, 1.0 - 0.3 / height, f"{groups[0].task}: {groups[0].description}", size=10, weight="bold",
        color=_INK, parse_math=False,
    )  # fmt: skip
    figure.text(
        0.02, 1.0 - 0.52 / height, "95% intervals over spatial blocks and seeds; dashed: the best baseline", size=7.5,
        color=_QUIET,
    )  # fmt: skip
    _save(figure, path)


def _corrections_picture(groups: Sequence[Group], path: Path) -> None:
    """Corrected minus original: every encoder and task, overall, near the antimeridian and near the poles.

    Where no point lies near those, their panels are left out.
    """
    found = corrections(groups)
    held = {one.stratum for one in found}
    strata = [stratum for stratum in (OVERALL, ANTIMERIDIAN, POLES) if stratum in held]
    names = list(dict.fromkeys(one.encoder for one in found))
    height = 1.7 + 0.32 * len(names)
    wide = max(7.0, 1.2 + 3.3 * len(strata))
    figure = _figure(wide, height)
    panel = (wide - 1.2) / len(strata)
    for place, stratum in enumerate(strata):
        left = (1.2 + panel * place) / wide
        axes = figure.add_axes((left, 0.6 / height, (panel - 0.33) / wide, 1.0 - 1.5 / height))
        axes.axvline(0.0, color=_BASELINE, linewidth=0.8)
        for row, name in enumerate(names):
            these = [one for one in found if one.encoder == name and one.stratum == stratum]
            for number, one in enumerate(these):
                offset = 0.0 if len(these) < 2 else 0.6 * (number / (len(these) - 1) - 0.5)
                color = {"better": _CORRECTED, "worse": _ORIGINAL}.get(one.verdict, _BASELINE)
                _bar(axes, one.difference, len(names) - row - offset, color, small=True)
        _plain(axes, stratum if stratum == OVERALL else f"near: {stratum}", "corrected minus original")
        axes.set_ylim(0.4, len(names) + 0.6)
        axes.set_yticks(range(len(names), 0, -1))
        axes.set_yticklabels(names if place == 0 else [], size=8)
    figure.text(
        0.02,
        1.0 - 0.3 / height,
        "Corrected encoders compared with their originals",
        size=10,
        weight="bold",
        color=_INK,
    )
    figure.text(
        0.02, 1.0 - 0.55 / height,
        "one line per task, kind of folds and probe; blue: better, orange: worse, gray: no significant difference",
        size=7.5, color=_QUIET,
    )  # fmt: skip
    _save(figure, path)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DOTS, facecolor=_PAPER)


def _bar(axes: Any, score: Score, at: float, color: str, small: bool = False) -> None:
    axes.plot(
        [score.low, score.high],
        [at, at],
        color=color,
        linewidth=0.8 if small else 1.4,
        solid_capstyle="butt",
    )
    axes.plot([score.value], [at], marker="o", markersize=1.8 if small else 3.2, color=color)


def _plain(axes: Any, title: str, label: str) -> None:
    axes.set_title(title, size=8.5, color=_INK, loc="left")
    axes.set_xlabel(label, size=8, color=_QUIET)
    axes.tick_params(labelsize=7.5, length=2, colors=_QUIET)
    axes.grid(axis="x", color="#ececea", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_color("#dcddd8")


def _save(figure: Any, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(str(temporary), metadata={"Title": None})
