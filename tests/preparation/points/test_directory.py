"""Whose a directory is that labeled points are to be written into. Oracle: the files that lay there before."""

from __future__ import annotations

from pathlib import Path

import pytest

import placevec as pv
from placevec.errors import DatasetError, SourceError
from placevec.preparation.points import build as labeled_dataset

GOOD = "lon,lat,s\n1,1,a\n2,2,b\n3,3,a\n"
ONE_CLASS = "lon,lat,s\n1,1,a\n2,2,a\n"


def _prepare(tmp_path: Path, rows: str, out: Path, label: str | None = "s") -> pv.Dataset:
    (tmp_path / "points.csv").write_text(rows)
    return pv.prepare("sphere2vec", points=tmp_path / "points.csv", label=label, out=out)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("rows", [GOOD, ONE_CLASS])
@pytest.mark.parametrize(
    "theirs",
    [
        (".work/note.txt", "thesis.txt"),
        (".work/inputs.json", "map/0.tif", ".tmp-0a1b2c3d-places.parquet"),  # of another command, killed
        (".work/tiles.npy",),
        (".work", "thesis.txt"),
        (".work",),
    ],
)
def test_files_of_others_stay(tmp_path: Path, rows: str, theirs: tuple[str, ...]) -> None:
    """A folder or file called .work does not make a directory one of ours."""
    out = tmp_path / "mine"
    for name in theirs:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(name)
    before = _files(out)
    with pytest.raises(DatasetError, match="exists and is not a placevec dataset: choose another --out"):
        _prepare(tmp_path, rows, out)
    assert _files(out) == before


def _killed(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop where a kill would leave the most: all is written but the manifest. An interrupt removes nothing."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(labeled_dataset, "write_manifest", stop)
        with pytest.raises(KeyboardInterrupt):
            _prepare(tmp_path, GOOD, out)
    assert {"places.parquet", "labels.parquet", ".work"} == {path.name for path in out.iterdir()}


def test_a_killed_run_starts_again_in_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And ends as one that was never killed, even with other options; nothing of the first stays."""
    _killed(tmp_path, tmp_path / "killed", monkeypatch)
    (tmp_path / "killed" / ".tmp-0a1b2c3d-labels.parquet").touch()
    (tmp_path / "killed" / ".work" / "hashes-of-old").touch()
    again = _prepare(tmp_path, GOOD, tmp_path / "killed", label=None)
    whole = _prepare(tmp_path, GOOD, tmp_path / "whole", label=None)
    assert again.hash == whole.hash
    assert set(_files(again.path)) == set(_files(whole.path)) == {"dataset.json", "places.parquet"}


def test_a_killed_run_that_then_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _killed(tmp_path, tmp_path / "out", monkeypatch)
    with pytest.raises(SourceError, match="all rows have the same class in 's', 'a'"):
        _prepare(tmp_path, ONE_CLASS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_killed_before_its_first_file_starts_again(tmp_path: Path) -> None:
    (tmp_path / "out" / ".work").mkdir(parents=True)
    assert len(_prepare(tmp_path, GOOD, tmp_path / "out")) == 3


def test_a_file_put_beside_a_killed_run_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    _killed(tmp_path, out, monkeypatch)
    (out / "thesis.txt").write_text("mine")
    before = _files(out)
    with pytest.raises(DatasetError, match=r"holds an unfinished dataset, but thesis\.txt is not part of it"):
        _prepare(tmp_path, GOOD, out)
    assert _files(out) == before


def test_a_file_put_there_during_a_run_that_fails_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()

    def fail(*_: object, **__: object) -> None:
        (out / "thesis.txt").write_text("mine")
        raise SourceError("what a table can be")

    monkeypatch.setattr(labeled_dataset, "write_rows", fail)
    with pytest.raises(SourceError, match="what a table can be"):
        _prepare(tmp_path, GOOD, out)
    assert _files(out) == {"thesis.txt": b"mine"}
