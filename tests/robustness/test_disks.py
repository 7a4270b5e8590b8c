"""Full disks, read-only folders and places that take no files: one line that says so, and nothing lost.

The disks are real ones: file systems in memory of so many kilobytes, and read-only mounts, which hold for root too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from placevec.datasets.dataset import Dataset
from tests.inference.closed_form import closed_form
from tests.robustness import content, jobs
from tests.robustness.commands import Nursery, refused
from tests.robustness.killing import Job

ROOMY = 60_000
PLAIN = ("--projections", "pca", "--clusters", 4, "-q")
"""Options of a page that is made quickly."""


@pytest.fixture
def disk(mounting: Nursery, tmp_path: Path) -> Iterator[Path]:
    """Where a small disk is mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    yield folder
    mounting.mount("release", folder)


def _goes_on(nursery: Nursery, disk: Path, job: Job, sizes: list[int], expected: object) -> None:
    """On disks of each size the job is refused in one line; given room, the same command ends as if never stopped."""
    out = disk / job.output
    for number, kilobytes in enumerate(sizes):
        nursery.mount("small_disk", disk, kilobytes)
        refused(nursery.run(*job.arguments(out)), "no space left", "make room", str(disk))
        there = nursery.seen(out)
        told = nursery.run("info", out)
        if told.code:
            refused(told)
        assert not [path for path in there.rglob("*") if path.name.startswith((".tmp-", "placevec-"))]
        nursery.mount("small_disk", disk, ROOMY)
        ended = nursery.run(*job.arguments(out))
        assert ended.code == 0, ended.err
        assert job.content(there) == expected
        assert content.leftovers(there.parent) == []
        if number + 1 < len(sizes):
            nursery.mount("release", disk)


def test_prepare_on_a_full_disk(mounting: Nursery, disk: Path, tmp_path: Path) -> None:
    """Full while reading, while drawing. Oracle: the same command on a roomy disk."""
    job = jobs.prepare()
    assert mounting.run(*job.arguments(tmp_path / "whole")).code == 0
    _goes_on(mounting, disk, job, [64, 900], job.content(tmp_path / "whole"))


def test_train_on_a_full_disk(
    mounting: Nursery, disk: Path, helsinki_dataset: Dataset, options: Path, quick_run: Path
) -> None:
    """Full while writing the first model, the first state, a later one. Oracle: the run on a roomy disk."""
    job = jobs.train(helsinki_dataset.path, options)
    _goes_on(mounting, disk, job, [40, 80, 300], job.content(quick_run))


def test_embed_on_a_full_disk(
    mounting: Nursery, disk: Path, helsinki_dataset: Dataset, quick_run: Path, quick_table: Path
) -> None:
    """Full while writing a part, while writing the table beside the parts."""
    job = jobs.embed(quick_run, helsinki_dataset.path)
    _goes_on(mounting, disk, job, [100, 300], job.content(quick_table))


def test_a_raster_of_predictions_on_a_full_disk(mounting: Nursery, disk: Path, tmp_path: Path) -> None:
    """Full while strips are kept, while GDAL writes the file beside them. Oracle: the file on a roomy disk."""
    closed_form(tmp_path / "model")

    def arguments(out: Path) -> list[object]:
        return ["predict", tmp_path / "model", "--class", "east", "--resolution", "0.6", "-q", "--out", out]

    job = Job("predict", arguments, Path.read_bytes, output="a.tif")
    assert mounting.run(*arguments(tmp_path / "whole.tif")).code == 0
    _goes_on(mounting, disk, job, [400, 1000], (tmp_path / "whole.tif").read_bytes())


def test_results_on_a_full_disk(mounting: Nursery, disk: Path, quick_table: Path) -> None:
    """What was there before stays: a page, a report and a table of results are replaced whole or not at all."""
    mounting.mount("small_disk", disk, 16)
    seen = mounting.seen(disk)
    for name in ("page.html", "result.csv"):
        (seen / name).write_text("old")
    (seen / "report").mkdir()
    (seen / "report" / "report.json").write_text("old")
    (seen / "filler").write_bytes(bytes(4096))
    quick = ["--budget", "quick", "--seeds", "1", "--folds", "2", "-q"]
    for command in (
        ["explore", quick_table, "--html", disk / "page.html", *PLAIN],
        ["evaluate", quick_table, *quick, "--out", disk / "report"],
        ["search", quick_table, "--lon", 24.9414, "--lat", 60.1719, "-k", 400, "--csv", disk / "result.csv"],
    ):
        refused(mounting.run(*command), "no space left", str(disk))
    assert (seen / "page.html").read_text() == (seen / "result.csv").read_text() == "old"
    assert (seen / "report" / "report.json").read_text() == "old"
    assert content.leftovers(seen) == []


def test_files_that_may_not_grow(
    nursery: Nursery,
    helsinki_dataset: Dataset,
    quick_run: Path,
    quick_table: Path,
    options: Path,
    tmp_path: Path,
) -> None:
    """The other limit a system sets, on the size of a file (RLIMIT_FSIZE), holds where nothing can be mounted."""
    for size, command in (
        (100_000, jobs.prepare().arguments(tmp_path / "data")),
        (50_000, jobs.train(helsinki_dataset.path, options).arguments(tmp_path / "run")),
        (50_000, jobs.embed(quick_run, helsinki_dataset.path).arguments(tmp_path / "e.parquet")),
        (50_000, ["explore", quick_table, "--html", tmp_path / "page.html", *PLAIN]),
    ):
        refused(nursery.run(*command, largest_file=size), "cannot write", "file too large", "ulimit")
        ended = nursery.run(*command)
        assert ended.code == 0, ended.err
    assert content.leftovers(tmp_path) == []


def test_standard_output_on_a_full_disk(nursery: Nursery, helsinki_pbf: Path) -> None:
    """A result that could not be written is no success."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    ended = nursery.run("info", helsinki_pbf, "--json", said=Path("/dev/full"))
    assert ended.code == 1
    assert ended.err.startswith("placevec: cannot write: no space left on device")
    assert len(ended.err.splitlines()) == 1


def _commands(out: Path, dataset: Path, run: Path, table: Path, options: Path) -> list[list[object]]:
    """Every command that writes, told to write below ``out``."""
    return [
        ["prepare", "loc2vec", *jobs.PLACES, "--spacing", "60", "--out", out / "x"],
        ["train", "loc2vec", dataset, "--config", options, "-q", "--out", out / "x"],
        ["embed", run, dataset, "-q", "-o", out / "x.parquet"],
        ["evaluate", table, "--budget", "quick", "-q", "--out", out / "x"],
        ["search", table, "--lon", 24.94, "--lat", 60.17, "--csv", out / "x.csv"],
        ["explore", table, "--html", out / "x.html", "-q"],
        ["demo", "-q", "--out", out / "x"],
    ]


def test_read_only_folders(
    mounting: Nursery,
    helsinki_dataset: Dataset,
    quick_run: Path,
    quick_table: Path,
    options: Path,
    tmp_path: Path,
) -> None:
    """Told at once, before any work: each command takes less than a second."""
    mounting.mount("read_only", tmp_path)
    for command in _commands(tmp_path, helsinki_dataset.path, quick_run, quick_table, options):
        refused(
            mounting.run(*command),
            "cannot write",
            "read-only",
            "choose another location",
            str(tmp_path / "x"),
        )
    mounting.mount("release", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_on_a_read_only_disk_can_be_used(
    mounting: Nursery, helsinki_dataset: Dataset, options: Path, tmp_path: Path
) -> None:
    """As a shared one is: reused by `prepare`, learned from, embedded and shown."""
    data = helsinki_dataset.path
    mounting.mount("read_only", data)
    try:
        for command in (
            ["prepare", "loc2vec", *jobs.PLACES, "--spacing", "60", "--out", data],
            ["train", "loc2vec", data, "--config", options, "--epochs", 1, "-q", "--out", tmp_path / "run"],
            ["embed", tmp_path / "run", data, "-q", "-o", tmp_path / "e.parquet"],
            ["explore", tmp_path / "e.parquet", "--html", tmp_path / "page.html", *PLAIN],
        ):
            ended = mounting.run(*command)
            assert ended.code == 0, ended.err
    finally:
        mounting.mount("release", data)


def test_places_that_take_no_files(
    nursery: Nursery,
    helsinki_dataset: Dataset,
    quick_run: Path,
    quick_table: Path,
    options: Path,
    tmp_path: Path,
) -> None:
    """A file where a folder should be, and, on Linux, the system's own folders."""
    (tmp_path / "file").write_text("mine")
    of_system = Path("/proc") if Path("/proc").exists() else tmp_path / "file"
    where = (tmp_path / "file", of_system)
    commands = [_commands(one, helsinki_dataset.path, quick_run, quick_table, options) for one in where]
    for number, pair in enumerate(zip(*commands, strict=True)):
        command, folder = pair[number % 2], where[number % 2]
        refused(nursery.run(*command), f"cannot write {folder / 'x'}", "choose another location")
    assert (tmp_path / "file").read_text() == "mine"
    refused(nursery.run("explore", quick_table, "--html", tmp_path), "is a directory")
    refused(nursery.run("prepare", "loc2vec", *jobs.PLACES, "--out", tmp_path / "file"), "file")
    refused(nursery.run("prepare", "loc2vec", *jobs.PLACES, "--out", "/proc/x"), "/proc/x")


def test_pipes_and_links_are_not_replaced(nursery: Nursery, quick_table: Path, tmp_path: Path) -> None:
    """What is written to a pipe or a device, such as /dev/stdout, goes there; a link points at what is then new."""
    query = ["search", quick_table, "--lon", 24.9414, "--lat", 60.1719, "-k", 3]
    (tmp_path / "target.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("target.csv")
    assert nursery.run(*query, "--csv", tmp_path / "link.csv").code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert len((tmp_path / "target.csv").read_text().splitlines()) == 4
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit((tmp_path / "pipe").read_text)
        assert nursery.run(*query, "--csv", tmp_path / "pipe").code == 0
        assert read.result() == (tmp_path / "target.csv").read_text()
    assert (tmp_path / "pipe").is_fifo()
