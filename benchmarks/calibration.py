"""Whether claims and intervals of an evaluation hold what they promise, on fields whose truth is known.

Predictors of equal quality on 10 x 10 blocks, errors correlated over a range: how often is a difference claimed, of two
and of any of seven? Predictors that do differ: how often is that found? And how often does an interval hold the truth?
``python -m benchmarks.calibration [--runs 200]`` prints the tables as Markdown; 200 runs take ten minutes of a free core.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import binom

from placevec.evaluation.bootstrap import Resampling, Score, scale_of
from placevec.evaluation.compare import NO_DIFFERENCE, Comparison, compare
from placevec.evaluation.scores import loss, resampled
from placevec.geo import spatial_blocks

POINTS, SIDE_M, BLOCKS = 500, 1_000.0, 10
RANGES = (0.05, 0.5, 1.0, 2.0, 3.0)
"""Distance in blocks at which the correlation of errors falls to 1/e."""
KINDS = ("R²", "accuracy")
RIVALS = 7
MIN_CLAIMING = 20
"""Worlds that may claim below which no share of them is shown."""
BASE, WORSE = 0.5, {"R²": (0.6, 0.8), "accuracy": (1.0, 2.0)}
"""Variance of errors (that of the target is 1) of the better predictor and of the worse ones whose difference is to be found."""
METERS = 111_320.0  # a degree at the equator


def scored(
    metric: str, target: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any], over: Resampling
) -> Score:
    """As an evaluation scores a row."""
    measure = partial(resampled, metric, target, predicted, over.block)
    return over.score([measure], len(target), scale_of(metric), loss(metric, target, predicted))


def world(
    metric: str, reach: float, seed: int, variances: Sequence[float]
) -> tuple[dict[str, Score], np.ndarray[Any, Any]]:
    """(predictors of one target with errors of the given variances, scored and named 0, 1, ...; lonlat of the places)."""
    random = np.random.default_rng([seed, int(reach * 100), KINDS.index(metric)])
    plane = random.random((POINTS, 2)) * BLOCKS * SIDE_M
    covariance = np.exp(-cdist(plane, plane) / (reach * SIDE_M)) + 1e-9 * np.eye(POINTS)
    fields = np.linalg.cholesky(covariance) @ random.normal(size=(POINTS, 1 + len(variances)))
    lonlat = plane / METERS
    over = Resampling(
        spatial_blocks(lonlat[:, 0], lonlat[:, 1], SIDE_M), draws=2, lonlat=lonlat, side_m=SIDE_M
    )
    truth = fields[:, 0] if metric == "R²" else (fields[:, 0] > 0).astype(np.int64)
    scores = {}
    for number, variance in enumerate(variances):
        given = fields[:, 0] + np.sqrt(variance) * fields[:, 1 + number]
        predicted = given[:, None] if metric == "R²" else (given > 0).astype(np.int64)
        scores[f"{number}"] = scored(metric, truth, predicted, over)
    return scores, lonlat


def comparisons(
    metric: str, reach: float, seed: int, variances: Sequence[float]
) -> tuple[Comparison, list[Comparison]]:
    """(the first predictor against the second alone, against all others as one family)."""
    scores, lonlat = world(metric, reach, seed, variances)
    pairs = [("0", f"{other}") for other in range(1, len(variances))]
    (alone,) = compare(scores, pairs[:1], lonlat=lonlat, side_m=SIDE_M)
    family = compare(scores, pairs)
    if any(
        one.verdict != NO_DIFFERENCE for one in family
    ):  # else nothing can be claimed, wherever places lie
        family = compare(scores, pairs, lonlat=lonlat, side_m=SIDE_M)
    return alone, family


def claimed(found: Sequence[Comparison]) -> bool:
    """Whether any difference is claimed."""
    return any(one.claim in ("better", "worse") for one in found)


def false_claims(metric: str, reach: float, runs: int) -> dict[str, float]:
    """Shares of worlds of exchangeable predictors in which ..."""
    counts = np.zeros(6)
    for seed in range(runs):
        alone, family = comparisons(metric, reach, seed, (1.0,) * (1 + RIVALS))
        naive, may = alone.difference, not alone.doubt
        inside = naive.low <= 0.0 <= naive.high
        counts += [
            abs(naive.value) > 1.96 * naive.errors[0], claimed([alone]), claimed(family), inside, may, may and inside
        ]  # fmt: skip
    heads = ("1.96 standard errors alone", "claimed", "any of seven claimed", "interval holds 0", "may claim")
    enough = counts[4] >= MIN_CLAIMING
    return {
        **dict(zip(heads, counts[:5] / runs, strict=True)),
        "claimed where it may": counts[1] / counts[4] if enough else float("nan"),
        "interval holds 0 where it may claim": counts[5] / counts[4] if enough else float("nan"),
    }


def power(metric: str, reach: float, runs: int) -> list[float]:
    """For each of `WORSE` the share of worlds in which the better predictor is claimed to be better."""
    found = []
    for worse in WORSE[metric]:
        told = [comparisons(metric, reach, seed, (BASE, worse))[0].claim for seed in range(runs)]
        found.append(told.count("better") / runs)
    return found


def quality(metric: str, variance: float) -> float:
    """What a predictor scores whose errors have a variance, that of the target being 1."""
    return 1.0 - variance if metric == "R²" else 1.0 - float(np.arccos((1.0 + variance) ** -0.5)) / np.pi


def covered(metric: str, blocks: int, runs: int) -> int:
    """How often the 95 % interval holds the truth, with blocks of 4 to 19 places that err together."""
    held = 0
    for seed in range(runs):
        random = np.random.default_rng([seed, blocks, 7])
        block = np.repeat(np.arange(blocks), random.integers(4, 20, blocks))
        over = Resampling(block, draws=2)
        if metric == "R²":
            target = 0.7 * random.normal(size=blocks)[block] + 0.7 * random.normal(size=len(block))
            error = 0.4 * random.normal(size=blocks)[block] + 0.4 * random.normal(size=len(block))
            truth, predicted = 1.0 - 0.32 / 0.98, (target + error)[:, None]
        else:
            right = 0.4 + 0.4 * random.random(blocks)[block] > random.random(len(block))
            target, predicted, truth = np.zeros(len(block), np.int64), (~right).astype(np.int64), 0.6
        found = scored(metric, target, predicted, over)
        held += found.low <= truth <= found.high
    return held


def tables(runs: int) -> Iterator[str]:
    """Lines of Markdown, as they are known."""
    most, least = int(binom.ppf(0.975, runs, 0.05)), int(binom.ppf(0.025, runs, 0.95))
    yield f"Exchangeable predictors, {runs} runs; at most {most / runs:.1%} false claims are within 5 %.\n"
    began = False
    for metric in KINDS:
        for reach in RANGES:
            found = false_claims(metric, reach, runs)
            if not began:
                yield f"| measure | range, blocks | {' | '.join(found)} |\n|{' --- |' * (2 + len(found))}"
            began = True
            yield f"| {metric} | {reach:g} | {' | '.join(_shown(share) for share in found.values())} |"
    yield f"\nReal differences found, {runs} runs.\n"
    yield f"| measure | {' | '.join(f'range {reach:g}' for reach in RANGES)} |\n|{' --- |' * (1 + len(RANGES))}"
    for metric in KINDS:
        shares = np.array([power(metric, reach, runs) for reach in RANGES])
        for worse, row in zip(WORSE[metric], shares.T, strict=True):
            name = f"{metric} {quality(metric, BASE):.2f} against {quality(metric, worse):.2f}"
            yield f"| {name} | {' | '.join(f'{share:.0%}' for share in row)} |"
    yield f"\nCoverage of 95 % intervals, {runs} runs; at least {least / runs:.1%} is within 95 %.\n"
    yield "| measure | 10 blocks | 20 | 40 | 70 |\n| --- | --- | --- | --- | --- |"
    for metric in KINDS:
        shown = " | ".join(f"{covered(metric, blocks, runs) / runs:.1%}" for blocks in (10, 20, 40, 70))
        yield f"| {metric} | {shown} |"


def _shown(share: float) -> str:
    return f"{share:.1%}" if share == share else "-"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    for line in tables(parser.parse_args().runs):
        print(line, flush=True)


if __name__ == "__main__":
    main()
