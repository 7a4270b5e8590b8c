"""Parts that join a dataset. Oracles: the files and the hash of before, and of the same command that nothing stopped."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import placevec as pv
from placevec import api
from placevec.api.inputs import recorded_dataset, training_dataset
from placevec.datasets import additions
from placevec.datasets.additions import Addition, Joining, Made, add, is_made, made, reused, unfinished
from placevec.datasets.dataset import Dataset
from placevec.errors import DatasetError, PlacevecError, SourceError
from placevec.io import atomic
from placevec.io.progress import SILENT
from tests.preparation.points.tables import octant_points
from tests.unsealed import unsealed

WHEN = "2026-01-01T00:00:00+00:00"
OF = Made("features", {"numbers": "abc", "bands": ("red", "green")})
QUICK: dict[str, Any] = {
    "epochs": 1, "scales": 4, "r_min": 0.1, "hidden": 8, "dim": 8, "batch_size": 64, "projector": 0,
    "steps_per_epoch": 1, "seed": 5,
}  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def old(tmp_path: Path) -> Dataset:
    return octant_points(tmp_path / "ds", 60)


def write(folder: Path, names: tuple[str, ...] = ("features/far.npy", "features/far.parquet")) -> Joining:
    for name in names:
        atomic.write_text(folder / name, f"content of {name}")
    view = {
        "spec": {"name": "far", "kind": "features", "channels": [], "values": "2 numbers"},
        "files": list(names),
    }
    return Joining("far features", list(names), [{"name": "f", "attribution": "them"}], views={"far": view})


def added(dataset: Dataset, of: Made = OF) -> Dataset:
    return add(dataset, "far", of, write, created=WHEN, progress=SILENT)


# --- what the manifest says -----------------------------------------------------------------------------------


def test_a_part_joins_and_all_else_stays(old: Dataset) -> None:
    before = files(old.path)
    new = added(old)
    after = files(new.path)
    assert {name: after[name] for name in before if name != "dataset.json"} == {
        name: content for name, content in before.items() if name != "dataset.json"
    }
    assert set(after) - set(before) == {"features/far.npy", "features/far.parquet"}
    was, now = (json.loads(one["dataset.json"]) for one in (before, after))
    for name in ("places", "labels", "area", "created", "name"):
        assert now[name] == was[name]
    assert now["sources"][: len(was["sources"])] == was["sources"]
    assert new.view_names == (*old.view_names, "far")
    assert new.attribution == "made for a test; them"
    assert now["provenance"]["far"] == {
        "kind": "features", "created": WHEN, "placevec_version": pv.__version__, "sources": [len(was["sources"])],
        "inputs": {"numbers": "abc", "bands": ["red", "green"]},
    }  # fmt: skip
    assert now["additions"] == [{"hash": old.hash, "created": WHEN, "added": ["far"]}]
    assert unfinished(new.path) == []
    assert not list(new.path.glob(".*"))


def test_the_hash_is_of_the_content_and_those_of_before_are_known(old: Dataset) -> None:
    new = added(old)
    assert new.hash != old.hash
    assert new.places_hash == old.places_hash
    assert new.descends_from(old.hash)
    assert new.descends_from(new.hash)
    assert not old.descends_from(new.hash)
    assert not new.descends_from("f" * 64)
    assert not new.descends_from("")
    manifest = dict(new.manifest)
    del manifest["additions"], manifest["provenance"]
    assert Dataset(new.path, manifest).hash == new.hash  # as of a manifest of before there were any


def test_the_same_part_is_found_again_and_another_option_is_named(old: Dataset) -> None:
    assert not is_made(old, "far", OF)
    new = added(old)
    assert is_made(new, "far", OF)
    assert made(new, "far") == OF.plain()
    with pytest.raises(DatasetError, match=r"holds a view 'far' made from other inputs: .*bands"):
        is_made(new, "far", Made("features", {"numbers": "abc", "bands": ["red"]}))
    with pytest.raises(DatasetError, match="already holds a view 'far', made from f"):
        is_made(new, "far", Made("images", OF.inputs))
    said: list[str] = []

    class Says:
        task = SILENT.task

        def say(self, message: str) -> None:
            said.append(message)

    assert reused(new, {"far": OF}, Says()).hash == new.hash
    assert "Reusing" in said[0]


def test_a_manifest_without_provenance_still_says_what_it_was_made_of(tmp_path: Path) -> None:
    """As of a dataset that was prepared before parts were told apart."""
    (tmp_path / "p.csv").write_text(
        "lon,lat,kind\n" + "".join(f"{lon},1,{'ab'[lon % 2]}\n" for lon in range(9))
    )
    np.save(tmp_path / "f.npy", np.arange(18.0).reshape(9, 2))
    options: dict[str, Any] = {
        "points": tmp_path / "p.csv", "label": "kind", "out": tmp_path / "ds", "image_features": tmp_path / "f.npy"
    }  # fmt: skip
    new = api.prepare("sphere2vec", **options)
    manifest = dict(new.manifest)
    provenance = manifest.pop("provenance")
    del manifest["additions"]
    features = provenance.pop("image_features")["inputs"]
    manifest["report"] = {
        **manifest["report"], "inputs": provenance["labels"]["inputs"], "image_features": features
    }  # fmt: skip
    (new.path / "dataset.json").write_text(json.dumps(unsealed(manifest)))
    assert api.prepare("sphere2vec", **options).hash == new.hash
    with pytest.raises(DatasetError, match=r"holds labels .* made from other inputs: --min-per-class"):
        api.prepare("sphere2vec", min_per_class=2, **options)
    joined = added(Dataset.open(new.path))
    assert set(joined.manifest["provenance"]) == {"places", "labels", "coordinates", "image_features", "far"}
    assert api.prepare("sphere2vec", **options).hash == joined.hash


# --- killed -----------------------------------------------------------------------------------------------------


def test_stopped_at_any_write_it_goes_on(
    old: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rename in turn is the last thing that happens: the old dataset is whole until the new one is."""
    whole = added(Dataset.open(shutil.copytree(old.path, tmp_path / "whole")))
    expected, renames = files(whole.path), 0
    rename = os.replace
    for stop in range(100):
        folder = Path(shutil.copytree(old.path, tmp_path / f"stopped {stop}"))
        count = 0

        def stopping(source: Any, target: Any, last: int = stop) -> None:
            nonlocal count
            if count == last:
                raise KeyboardInterrupt
            count += 1
            rename(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", stopping)
            try:
                added(Dataset.open(folder))
                renames = stop
                break
            except KeyboardInterrupt:
                pass
        left = Dataset.open(folder)
        assert left.hash == old.hash
        assert unfinished(folder) == ["far"]
        left.labels()
        assert (folder / "places.parquet").read_bytes() == (old.path / "places.parquet").read_bytes()
        again = added(left)
        assert again.hash == whole.hash
        assert files(folder) == expected
        assert not list(folder.glob(".*"))
    assert renames >= 6  # the plan, two files, the note, two moves, the manifest


def test_killed_after_the_manifest_only_the_work_is_left(
    old: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("placevec.datasets.additions.shutil.rmtree", lambda *_, **__: None)
        patch.setattr("placevec.datasets.additions.forget_work", lambda _: None)
        new = added(old)
    assert unfinished(new.path) == ["far"]
    assert reused(new, {"far": OF}, SILENT).hash == new.hash
    assert not list(new.path.glob(".*"))


def test_another_addition_goes_on_beside_an_unfinished_one(
    old: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Addition, "join", stopped)
        with pytest.raises(KeyboardInterrupt):
            added(old)

    def near(folder: Path) -> Joining:
        joining = write(folder, ("features/near.npy",))
        view = {**joining.views["far"], "files": ["features/near.npy"]}
        return Joining("near", ["features/near.npy"], joining.sources, views={"near": view})

    other = add(old, "near", OF, near, created=WHEN, progress=SILENT)
    assert unfinished(other.path) == ["far"]
    both = added(other)
    assert set(both.view_names) == {*old.view_names, "near", "far"}
    assert [one["added"] for one in both.manifest["additions"]] == [["near"], ["far"]]
    assert both.descends_from(old.hash)
    assert both.descends_from(other.hash)


def stopped(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def test_other_inputs_leave_nothing_of_an_unfinished_one(
    old: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that had taken their places already go too; those of the dataset stay."""
    before = files(old.path)
    with monkeypatch.context() as patch:
        patch.setattr(additions, "write_sealed", stopped)  # of the manifest
        with pytest.raises(KeyboardInterrupt):
            added(old)
    assert (old.path / "features" / "far.npy").exists()

    def fails(folder: Path) -> Joining:
        assert not any(folder.iterdir())
        raise SourceError("what a file can be")

    with pytest.raises(SourceError):
        add(old, "far", Made("features", {"numbers": "other"}), fails, created=WHEN, progress=SILENT)
    assert files(old.path) == before
    assert not list(old.path.glob(".*"))


def test_a_part_that_came_meanwhile_is_not_overwritten(old: Dataset) -> None:
    first = Addition(old, "far", OF)
    first.ready(write(first.folder), created=WHEN)
    new = json.loads((old.path / "dataset.json").read_text())
    new["views"]["far"] = {
        "spec": {"name": "far", "kind": "features", "channels": [], "values": ""},
        "files": [],
    }
    (old.path / "dataset.json").write_text(json.dumps(unsealed(new)))
    with pytest.raises(DatasetError, match="added in the meantime by another command"):
        first.join(SILENT)


def test_files_of_the_dataset_are_never_taken(old: Dataset) -> None:
    before = files(old.path)

    def takes(folder: Path) -> Joining:
        return write(folder, ("labels.parquet", "features/far.npy"))

    with pytest.raises(DatasetError, match=r"already holds labels\.parquet"):
        add(old, "far", OF, takes, created=WHEN, progress=SILENT)
    assert files(old.path) == before
    assert not list(old.path.glob(".*"))


def test_a_manifest_that_could_not_be_opened_is_never_written(old: Dataset) -> None:
    before = files(old.path)

    def wrong(folder: Path) -> Joining:
        joining = write(folder)
        view = {**joining.views["far"], "spec": {"name": "far"}}
        return Joining("far", joining.files, joining.sources, views={"far": view})

    with pytest.raises(DatasetError, match="damaged"):
        add(old, "far", OF, wrong, created=WHEN, progress=SILENT)
    assert files(old.path) == before
    assert not list(old.path.glob(".*"))


def test_a_disk_that_is_full_keeps_what_is_finished(old: Dataset) -> None:
    """No fault of the input: the same command goes on."""

    def full(folder: Path) -> Joining:
        atomic.write_text(folder / "half.txt", "half")
        raise PlacevecError("no space left")

    with pytest.raises(PlacevecError, match="no space"):
        add(old, "far", OF, full, created=WHEN, progress=SILENT)
    assert unfinished(old.path) == ["far"]
    assert Addition(Dataset.open(old.path), "far", OF).folder.joinpath("half.txt").read_text() == "half"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"names": {"file": "../names.parquet"}}, "outside the dataset"),
        ({"names": {"file": "names.parquet"}}, "is missing names.parquet"),
        ({"names": {}}, "file is missing"),
        ({"additions": [{"hash": 3}]}, "additions"),
        ({"provenance": {"map": {"kind": "osm"}}}, "provenance"),
    ],
)
def test_a_damaged_manifest_is_named(old: Dataset, change: dict[str, Any], words: str) -> None:
    manifest = json.loads((old.path / "dataset.json").read_text())
    (old.path / "dataset.json").write_text(json.dumps(unsealed({**manifest, **change})))
    with pytest.raises(DatasetError, match=words):
        Dataset.open(old.path)


# --- what was made before is still known ----------------------------------------------------------------------


@pytest.mark.usefixtures("small_probes")
def test_runs_and_vectors_of_before_an_addition_are_still_of_the_dataset(tmp_path: Path) -> None:
    run, old = tmp_path / "run", octant_points(tmp_path / "ds", 400)
    model = api.train("sphere2vec", old, out=run, **QUICK)
    vectors = api.embed(model, old)
    report = api.evaluate_model(model)
    new = added(old)
    assert training_dataset(model, "").hash == new.hash
    found = recorded_dataset(vectors, new)
    assert found is not None
    assert found.hash == new.hash
    assert recorded_dataset(vectors) is not None
    after = api.evaluate_model(run)
    assert after.as_dict() == report.as_dict()
    # and training goes on, and ends as it would have without the addition
    longer = {**QUICK, "epochs": 2}
    on = api.train("sphere2vec", new, out=run, resume=True, **longer)
    whole = api.train("sphere2vec", octant_points(tmp_path / "same", 400), out=tmp_path / "whole", **longer)
    assert on.hash == whole.hash
    assert on.training["dataset_hash"] == old.hash
    with pytest.raises(PlacevecError, match="a different dataset"):
        recorded_dataset(vectors, octant_points(tmp_path / "other", 61))


def test_names_that_join_fill_gaps_only(old: Dataset) -> None:
    def names(folder: Path) -> Joining:
        called = [f"n{row}" for row in range(60)]
        pq.write_table(pa.table({"name": pa.array(called, pa.string())}), folder / "names.parquet")
        return Joining("names", ["names.parquet"], [{"attribution": "them"}], names="names.parquet")

    new = add(old, "map_labels", OF, names, created=WHEN, progress=SILENT)
    assert new.places["name"].tolist() == [f"n{row}" for row in range(60)]
    (new.path / "names.parquet").write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match=r"names\.parquet is damaged"):
        _ = Dataset.open(new.path).places
