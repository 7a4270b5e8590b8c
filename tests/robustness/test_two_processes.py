"""Two commands on one output: the second is refused in one line that names the first, which ends as if alone.

Each test stops a job in its middle and runs the command line in another process. Oracle: outputs that were made alone.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from placevec import api
from placevec.datasets import additions
from placevec.datasets.dataset import Dataset
from placevec.models.model import Model
from placevec.preparation.rasterize.pipeline import _Burn
from placevec.training import loop
from tests.io.test_locks import holding
from tests.robustness import content, jobs
from tests.robustness.commands import Nursery, refused

OPTIONS: dict[str, Any] = {"osm_name": "helsinki-center", "spacing": 60, "size_m": 120}


def meanwhile(
    patch: pytest.MonkeyPatch, owner: Any, name: str, nursery: Nursery, *commands: list[object]
) -> Callable[[], int]:
    """Run commands before a function of a job; returns how often that was."""
    function, calls = getattr(owner, name), 0

    def with_others(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            for command in commands:
                refused(
                    nursery.run(*command),
                    f"process {os.getpid()} on",
                    "since",
                    "is writing it",
                    "wait for it",
                )
        return function(*arguments, **options)

    patch.setattr(owner, name, with_others)
    return lambda: calls


def test_prepare(
    nursery: Nursery, helsinki_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "data"
    same, other, forced = (
        jobs.prepare().arguments(out), jobs.prepare(zoom=16).arguments(out),
        jobs.prepare_again(out).arguments(out),
    )  # fmt: skip
    calls = meanwhile(monkeypatch, _Burn, "_bind", nursery, same, other, forced)
    api.prepare("loc2vec", out=out, **OPTIONS)
    assert calls() == 1
    assert content.of_dataset(out) == content.of_dataset(helsinki_dataset.path)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_additions(
    nursery: Nursery, helsinki_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other labels, and the same, while labels join; and a dataset made anew over them."""
    out = Path(shutil.copytree(helsinki_dataset.path, tmp_path / "data"))
    command = jobs.add_labels(out, tmp_path).arguments(out)
    calls = meanwhile(
        monkeypatch, additions.Addition, "ready", nursery, command, jobs.prepare_again(out).arguments(out)
    )
    made = api.prepare(
        "sphere2vec", points=tmp_path / "labels.csv", label="species", user="observer", out=out
    )
    assert calls() == 1
    assert made.labels().classes == ("elm", "fir", "oak")
    assert nursery.run(*command).code == 0  # the same, which is there now
    assert content.leftovers(tmp_path) == []


def test_train(
    nursery: Nursery,
    helsinki_dataset: Dataset,
    options: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not with --resume, nor with --force: the log holds one run."""
    out = tmp_path / "run"
    command = jobs.train(helsinki_dataset.path, options).arguments(out)
    forced = ["--force" if word == "--resume" else word for word in command]
    calls = meanwhile(monkeypatch, loop, "save_state", nursery, command, forced)
    words = (line.split(" = ") for line in options.read_text().splitlines())
    api.train("loc2vec", helsinki_dataset, out=out, **{name: int(value) for name, value in words})
    assert calls() == 4
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_embed(
    nursery: Nursery, helsinki_dataset: Dataset, quick_run: Path, quick_table: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out = tmp_path / "vectors.parquet"
    command = jobs.embed(quick_run, helsinki_dataset.path).arguments(out)
    calls = meanwhile(monkeypatch, Model, "encode", nursery, command)
    api.embed(quick_run, helsinki_dataset, out=out)
    assert calls() == 1
    assert content.of_table(out) == content.of_table(quick_table)
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.parquet"]


def test_waiting(nursery: Nursery, helsinki_dataset: Dataset, quick_run: Path, tmp_path: Path) -> None:
    """Who is waited for is told; the lock is held for a moment, by a process of its own."""
    out = tmp_path / "vectors.parquet"
    first = holding(out, 0.7)
    command = [word for word in jobs.embed(quick_run, helsinki_dataset.path).arguments(out) if word != "-q"]
    ended = nursery.run(*command, "--wait")
    assert ended.code == 0, ended.err
    assert f"Waiting for process {first.pid}" in ended.err
    assert first.wait() == 0


def test_sigterm_cleans_up_as_sigint_does(tmp_path: Path) -> None:
    """No temporary file stays and no lock; the exit code is that of the signal."""
    program = (
        "import sys, time\n"
        "from placevec.cli import main as cli\n"
        "from placevec.io.atomic import replacing\n"
        "from placevec.io.locks import locked\n"
        "def work(words):\n"
        "    with locked(sys.argv[1]), replacing(sys.argv[1]) as temporary:\n"
        "        temporary.write_text('half')\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "sys.modules['placevec.cli.main']._run = work\n"
        "sys.exit(cli([]))\n"
    )
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "out")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored by what runs in the background
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert len(list(tmp_path.iterdir())) == 2
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
        assert process.returncode == code
        assert said == "placevec: interrupted; run the same command again\n"
        assert list(tmp_path.iterdir()) == []
