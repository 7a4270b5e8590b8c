"""``make soak``: the kills of `test_killed.py`, fifty of each and of more kinds; prints what happened.

python -m tests.robustness.soak --kills 50 --seed 0 [--aimed]
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from pathlib import Path

from tests.robustness import jobs
from tests.robustness.commands import Nursery, fresh
from tests.robustness.killing import Job, Runner, Tally, kill_and_resume, kill_and_resume_aimed

EMBED_PART = 512
"""Places that are embedded at a time, so that an embedding has a dozen parts."""


def soak(folder: Path, kills: int, seed: int) -> list[Tally]:
    """Everything, with ``kills`` kills each; processes of their own start slowly and get a fifth of them."""
    nursery = Nursery()
    forked = functools.partial(nursery.run, embed_part=EMBED_PART)
    tallies = []

    def torment(job: Job, run: Runner, how: str, times: int) -> None:
        tally = kill_and_resume(job, run, folder / "now", kills=times, seed=seed, info=nursery.run)
        tally.name += how
        tallies.append(tally)
        print(tally, flush=True)

    data, old, options = (
        folder / "data",
        folder / "old",
        jobs.write_options(folder / "options.toml", epochs=8),
    )
    for out, spacing in ((data, 15), (old, 90)):
        made = nursery.run("prepare", "loc2vec", *jobs.PLACES, "--spacing", spacing, "--out", out)
        assert made.code == 0, made.err
    for job in (
        jobs.prepare(),
        jobs.prepare(zoom=20),
        jobs.prepare(zoom=20, workers=2),
        jobs.prepare_again(old),
        jobs.train(data, options),
    ):
        torment(job, forked, "", kills)
    tiles, drawn = jobs.write_tiles(folder / "tiles"), folder / "drawn"
    torment(jobs.import_tiles(tiles), forked, "", kills)
    assert forked(*jobs.import_tiles(tiles).arguments(drawn)).code == 0
    for how in ("--tile-folder", "--mbtiles"):
        torment(jobs.export_tiles(drawn, how), forked, "", kills)
    torment(jobs.add_labels(old, folder), forked, "", kills)
    points = folder / "points"
    table = jobs.write_observations(folder / "points.csv")
    assert forked("prepare", "sphere2vec", table, "--label", "species", "-q", "--out", points).code == 0
    torment(jobs.add_map(points), forked, "", kills)
    run = folder / "run"
    assert forked(*jobs.train(data, options).arguments(run)).code == 0
    torment(jobs.embed(run, data), forked, "", kills)
    for job in (jobs.prepare(zoom=20), jobs.train(data, options), jobs.embed(run, data)):
        torment(job, fresh, ", from the start of Python", max(1, kills // 5))
    nursery.close()
    return tallies


def soak_aimed(folder: Path, kills: int, seed: int) -> list[Tally]:
    """`prepare` alone, with kills while it draws, writes and renames: of one shard, of four, and over an old dataset."""
    nursery, old = Nursery(), folder / "old"
    made = nursery.run("prepare", "loc2vec", *jobs.PLACES, "--spacing", 90, "--out", old)
    assert made.code == 0, made.err
    tallies = []
    for job in (jobs.prepare(), jobs.prepare(zoom=20), jobs.prepare_again(old)):
        tallies.append(
            kill_and_resume_aimed(job, nursery.run, folder / "now", kills=kills, seed=seed, info=nursery.run)
        )
        print(tallies[-1], flush=True)
    nursery.close()
    return tallies


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Kill placevec's commands at random moments, resume, compare."
    )
    parser.add_argument("--kills", type=int, default=50, help="of each command (50)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    parser.add_argument(
        "--aimed", action="store_true", help="kills of prepare alone, while it draws, writes and renames"
    )
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="placevec-soak-") as folder:
        tallies = (soak_aimed if options.aimed else soak)(Path(folder), options.kills, options.seed)
    kills = sum(tally.kills for tally in tallies)
    compared = sum(tally.compared for tally in tallies)
    print(
        f"{kills} kills, {compared} comparisons, {time.monotonic() - began:.0f} s: nothing lost, nothing different"
    )


if __name__ == "__main__":
    main()
