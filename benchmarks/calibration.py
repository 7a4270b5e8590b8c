"""Whether claims and intervals of an evaluation hold what they promise, on fields whose truth is known.

Two predictors of equal quality on 10 x 10 blocks, errors correlated over a range: how often is a difference claimed?
And independent blocks: how often does an interval hold the truth? ``python -m benchmarks.calibration [--runs 200]``
prints both tables as Markdown; 200 runs take some minutes of one core.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import binom

from placevec.evaluation.bootstrap import Resampling, Score, scale_of
from placevec.evaluation.compare import compare
from placevec.evaluation.scores import loss, resampled
from placevec.geo import spatial_blocks

POINTS, SIDE_M, BLOCKS = 500, 1_000.0, 10
RANGES = (0.05, 0.5, 1.0, 2.0, 3.0)
"""Distance in blocks at which the correlation of errors falls to 1/e."""
KINDS = ("R²", "accuracy")
METERS = 111_320.0  # a degree at the equator


def scored(
    metric: str, target: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any], over: Resampling
) -> Score:
    """As an evaluation scores a row."""
    measure = partial(resampled, metric, target, predicted, over.block)
    return over.score([measure], len(target), scale_of(metric), loss(metric, target, predicted))


def world(metric: str, reach: float, seed: int, rivals: int) -> tuple[dict[str, Score], np.ndarray[Any, Any]]:
    """(exchangeable predictors of one target, scored; lonlat of the places)."""
    random = np.random.default_rng([seed, int(reach * 100), KINDS.index(metric)])
    plane = random.random((POINTS, 2)) * BLOCKS * SIDE_M
    covariance = np.exp(-cdist(plane, plane) / (reach * SIDE_M)) + 1e-9 * np.eye(POINTS)
    fields = np.linalg.cholesky(covariance) @ random.normal(size=(POINTS, rivals + 1))
    lonlat = plane / METERS
    over = Resampling(
        spatial_blocks(lonlat[:, 0], lonlat[:, 1], SIDE_M), draws=2, lonlat=lonlat, side_m=SIDE_M
    )
    truth = fields[:, 0] if metric == "R²" else (fields[:, 0] > 0).astype(np.int64)
    scores = {}
    for rival in range(1, rivals + 1):
        given = fields[:, 0] + fields[:, rival]
        predicted = given[:, None] if metric == "R²" else (given > 0).astype(np.int64)
        scores[f"{rival}"] = scored(metric, truth, predicted, over)
    return scores, lonlat


def false_claims(metric: str, reach: float, runs: int, rivals: int = 2) -> tuple[int, int, int, int]:
    """(runs with p below 5 %, with any claim, comparisons that may claim, all) among exchangeable predictors."""
    significant = claimed = able = total = 0
    pairs = [("1", f"{other}") for other in range(2, rivals + 1)]
    for seed in range(runs):
        scores, lonlat = world(metric, reach, seed, rivals)
        found = compare(scores, pairs, lonlat=lonlat, side_m=SIDE_M)
        naive = [scores[of] - scores[against] for of, against in pairs]
        significant += any(abs(one.value) > 1.96 * one.errors[0] for one in naive)
        claimed += any(item.claim in ("better", "worse") for item in found)
        able += sum(not item.doubt for item in found)
        total += len(found)
    return significant, claimed, able, total


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


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    most, least = int(binom.ppf(0.975, runs, 0.05)), int(binom.ppf(0.025, runs, 0.95))
    print(f"False differences of two exchangeable predictors, {runs} runs; at most {most} are within 5 %.\n")
    print(
        "| measure | range, blocks | 1.96 standard errors alone | claimed | may claim | any of seven claimed |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for metric in KINDS:
        for reach in RANGES:
            naive, claimed, able, total = false_claims(metric, reach, runs)
            seven = false_claims(metric, reach, max(1, runs // 4), 8)[1] / max(1, runs // 4)
            print(
                f"| {metric} | {reach:g} | {naive / runs:.1%} | {claimed / runs:.1%} | {able / total:.0%} |"
                f" {seven:.0%} |", flush=True,
            )  # fmt: skip
    print(f"\nCoverage of 95 % intervals, {runs} runs; at least {least / runs:.1%} is within 95 %.\n")
    print("| measure | 10 blocks | 20 | 40 | 70 |\n| --- | --- | --- | --- | --- |")
    for metric in KINDS:
        shown = " | ".join(f"{covered(metric, blocks, runs) / runs:.1%}" for blocks in (10, 20, 40, 70))
        print(f"| {metric} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
