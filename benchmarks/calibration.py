"""Whether claims and intervals of an evaluation hold what they promise, on fields whose truth is known.

Predictors of equal quality on 10 x 10 blocks, errors correlated over a range: how often is a difference claimed, of two
and of any of seven? The same of differences drawn on the blocks themselves, also where only a part of them is correlated.
Predictors that do differ: how often is that found? And how often does an interval hold the truth?
``python -m benchmarks.calibration [--runs 200]`` prints the tables as Markdown; 200 runs take half an hour of a free core.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import binom, norm

from placevec.evaluation.bootstrap import Resampling, Score, scale_of
from placevec.evaluation.compare import Comparison, compare
from placevec.evaluation.scores import resampled
from placevec.geo import spatial_blocks

POINTS, SIDE_M, BLOCKS = 500, 1_000.0, 10
RANGES = (0.05, 0.5, 1.0, 2.0, 3.0)
"""Distance in blocks at which the correlation of errors falls to 1/e."""
SIDES = (6, 7, 8, 10, 12, 16)
"""Blocks on a side of areas whose fields are drawn on the blocks themselves."""
PARTS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
"""Ranges of these fields, in sides of the area."""
SHARES = (1.0, 0.6, 0.3)
"""Of the variance of these fields, that is correlated over the range."""
TRUE = (3.0, 4.0, 5.0)
"""Mean differences of fields without correlation that are to be found, in standard errors."""
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
    return over.score([measure], len(target), scale_of(metric))


def world(
    metric: str, reach: float, seed: int, variances: Sequence[float], blocks: int = BLOCKS
) -> tuple[dict[str, Score], float]:
    """(predictors of one target with errors of the given variances, scored and named 0, 1, ...; what 0 would score).

    What it would score is the mean over other errors, of the same target at the same places.
    """
    random = np.random.default_rng(
        [seed, int(reach * 100), KINDS.index(metric), *[blocks] * (blocks != BLOCKS)]
    )
    plane = random.random((POINTS, 2)) * blocks * SIDE_M
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
    right = norm.cdf(np.abs(fields[:, 0]) / np.sqrt(variances[0])).mean()
    return scores, float(1.0 - variances[0] / fields[:, 0].var() if metric == "R²" else right)


def on_blocks(
    blocks: int, reach: float, share: float, runs: int, seed: int = 0, true: float = 0.0
) -> list[Comparison]:
    """The comparison of each of many fields drawn on the blocks themselves: a normal difference of every block.

    Args:
        blocks: on a side.
        reach: range in blocks of an exponential covariance.
        share: of the variance that has it; the others is noise of single blocks.
        runs: fields.
        seed: of the fields.
        true: mean difference, in standard errors of the mean of such a field.
    """
    random = np.random.default_rng([seed, blocks, int(reach * 100), int(share * 100)])
    plane = np.stack(np.meshgrid(np.arange(blocks), np.arange(blocks)), axis=-1).reshape(-1, 2) + 0.5
    covariance = share * np.exp(-cdist(plane, plane) / reach) + (1.0 - share + 1e-9) * np.eye(len(plane))
    lonlat = plane * SIDE_M / METERS
    over = Resampling(np.arange(len(plane)), draws=2, lonlat=lonlat, side_m=SIDE_M)
    fields = (
        np.linalg.cholesky(covariance) @ random.normal(size=(len(plane), runs))
        + true * covariance.mean() ** 0.5
    )
    nothing = over.score([lambda weights: np.zeros(len(weights))])
    found = []
    for field in fields.T:
        one = over.score([lambda weights, field=field: weights @ field / weights.sum(axis=1)])  # type: ignore[misc]
        found += compare({"one": one, "nothing": nothing}, [("one", "nothing")])
    return found


def claimed(found: Sequence[Comparison]) -> bool:
    """Whether any difference is claimed."""
    return any(one.claim in ("better", "worse") for one in found)


def false_claims(
    metric: str, reach: float, runs: int, blocks: int = BLOCKS, rivals: int = RIVALS
) -> dict[str, float]:
    """Shares of worlds of exchangeable predictors in which ..."""
    counts = np.zeros(7)
    for seed in range(runs):
        scores, expected = world(metric, reach, seed, (1.0,) * (1 + rivals), blocks)
        family = compare(scores, [("0", f"{other}") for other in range(1, 1 + rivals)])
        (alone,) = compare(scores, [("0", "1")])
        found, may = alone.difference, not alone.doubt
        inside, own = found.low <= 0.0 <= found.high, scores["0"]
        counts += [
            abs(found.value) > 1.96 * found.errors[0], claimed([alone]), claimed(family), inside,
            own.low <= expected <= own.high, may, may and inside,
        ]  # fmt: skip
    heads = (
        "1.96 standard errors alone", "claimed", f"any of {rivals} claimed", "interval holds 0", "row's holds the truth",
        "may claim",
    )  # fmt: skip
    enough = counts[5] >= MIN_CLAIMING
    return {
        **dict(zip(heads, counts[:6] / runs, strict=True)),
        "claimed where it may": counts[1] / counts[5] if enough else float("nan"),
        "interval holds 0 where it may claim": counts[6] / counts[5] if enough else float("nan"),
    }


def power(metric: str, reach: float, runs: int) -> list[float]:
    """For each of `WORSE` the share of worlds in which the better predictor is claimed to be better."""
    found = []
    for worse in WORSE[metric]:
        worlds = (world(metric, reach, seed, (BASE, worse))[0] for seed in range(runs))
        told = [compare(scores, [("0", "1")])[0].claim for scores in worlds]
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
    yield f"\nDifferences drawn on the blocks themselves, {runs} fields: claimed (of those that may), interval holds 0.\n"
    yield f"| share | range, sides | {' | '.join(f'{side} x {side}' for side in SIDES)} |\n|{' --- |' * (2 + len(SIDES))}"
    for share in SHARES:
        for part in PARTS:
            shown = " | ".join(
                _of_fields(on_blocks(side, part * side, share, runs, seed=77)) for side in SIDES
            )
            yield f"| {share:.0%} | {part:g} | {shown} |"
    for true in TRUE:
        found = (on_blocks(side, 0.05, 1.0, runs, seed=78, true=true) for side in SIDES)
        shown = " | ".join(f"{sum(claimed([one]) for one in each) / runs:.0%}" for each in found)
        yield f"| found: {true:g} standard errors | 0 | {shown} |"
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


def _of_fields(found: Sequence[Comparison]) -> str:
    may = [one for one in found if not one.doubt]
    holds = sum(one.difference.low <= 0.0 <= one.difference.high for one in found) / len(found)
    false = sum(claimed([one]) for one in may)
    return f"{false / len(found):.1%} ({false} of {len(may)}), {holds:.1%}"


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
