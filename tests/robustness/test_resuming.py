"""Moments of a kill that chance seldom hits, made by hand: between two steps of finishing, replacing, clearing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.io import atomic
from placevec.preparation.rasterize.pipeline import _Burn
from placevec.training.log import read_metrics
from placevec.training.state import newest_state
from tests.robustness import content

OPTIONS = {"osm_name": "helsinki-center", "spacing": 60, "size_m": 120}


@pytest.fixture
def data(helsinki_dataset: Dataset, tmp_path: Path) -> Path:
    return Path(shutil.copytree(helsinki_dataset.path, tmp_path / "data"))


def test_killed_after_the_manifest(data: Path) -> None:
    """What was left behind the last file goes when the dataset is reused."""
    before = content.of_dataset(data)
    (data / ".work").mkdir()
    (data / ".work" / "tiles.npy").touch()
    (data / ".tmp-0a1b2c3d-places.parquet").touch()
    api.prepare("loc2vec", out=data, **OPTIONS)  # type: ignore[arg-type]
    assert content.leftovers(data) == []
    assert content.of_dataset(data) == before


def test_killed_between_the_two_renames_of_force(data: Path) -> None:
    """The old dataset is aside, the new one not yet in its place: the next command puts it there."""
    before = content.of_dataset(data)
    data.rename(data.with_name(".data.new"))
    old = data.with_name(".tmp-0a1b2c3d-data")
    old.mkdir()
    assert len(api.prepare("loc2vec", out=data, **OPTIONS)) == before["dataset.json"]["places"]["count"]  # type: ignore[arg-type]
    assert content.of_dataset(data) == before
    assert not old.exists()


def test_killed_while_other_inputs_are_cleared(
    helsinki_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half-done work of another grid is removed; stopped on the way, neither grid's next run takes it for whole."""
    out = tmp_path / "data"

    class Stop(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(_Burn, "_bind", stop)
        with pytest.raises(Stop):
            api.prepare("loc2vec", out=out, **OPTIONS)  # type: ignore[arg-type]
    removed = 0
    unlink = Path.unlink

    def unlink_one(path: Path, missing_ok: bool = False) -> None:
        nonlocal removed
        if path.is_relative_to(out / "map"):
            removed += 1
            raise Stop
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink_one)
        with pytest.raises(Stop):
            api.prepare("loc2vec", out=out, zoom=16, **OPTIONS)  # type: ignore[arg-type]
    assert removed == 1
    api.prepare("loc2vec", out=out, **OPTIONS)  # type: ignore[arg-type]
    assert content.of_dataset(out) == content.of_dataset(helsinki_dataset.path)


def test_killed_before_an_older_state_was_removed(tmp_path: Path) -> None:
    for step in (3, 6):
        (tmp_path / f"step-{step:08d}").mkdir()
        (tmp_path / f"step-{step:08d}" / "state.json").touch()
    (tmp_path / "step-00000009").mkdir()  # its files did not get there
    (tmp_path / ".tmp-0a1b2c3d-step-00000009").mkdir()
    newest = newest_state(tmp_path)
    assert newest is not None
    assert newest.name == "step-00000006"
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000006"]


def test_a_log_is_read_up_to_what_is_no_row(tmp_path: Path) -> None:
    for bad in ('{"step": 3, "los', "5", '{"loss": 1}', "\x80\x04pickle"):
        (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1}) + "\n" + bad + "\n" + '{"step": 2}\n')
        assert read_metrics(tmp_path) == [{"step": 1}]


def test_leftovers_of_one_file_are_reported_from_others(tmp_path: Path) -> None:
    """A user's folder: only what placevec itself left of that very file goes."""
    for name in (
        ".tmp-0a1b2c3d-a.parquet",
        ".tmp-0a1b2c3d-b.parquet",
        ".tmp-a.parquet",
        "a.parquet",
        ".tmp-x",
    ):
        (tmp_path / name).touch()
    atomic.check_writable(tmp_path / "a.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".tmp-0a1b2c3d-b.parquet", ".tmp-a.parquet", ".tmp-x", "a.parquet",
    ]  # fmt: skip
