"""Hand labels, the probe on them, and the table that ``evaluate`` takes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from placevec.app.labels import Labels, learn, read_labels, to_label_next
from placevec.app.project import Project
from placevec.app.screens.labeling import colorings, labels_of
from placevec.cli import main
from placevec.errors import InputError, UsageError


def clouds(count: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(vectors, lonlat, truth) of two clouds side by side in space and mixed on the ground."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, count)
    vectors = rng.normal(size=(count, 6)) + 2.5 * truth[:, None]
    lonlat = np.stack([rng.uniform(24, 25, count), rng.uniform(60, 61, count)], axis=1)
    return vectors.astype(np.float32), lonlat, truth


def test_a_probe_learns_from_few_labels() -> None:
    """Oracle: the clouds that the labels are of; held-out accuracy is above chance, and chance is the larger class."""
    vectors, lonlat, truth = clouds()
    rows = np.arange(30)
    found = learn(vectors, rows, np.array(["no", "yes"])[truth[rows]], lonlat)
    assert found.classes == ("no", "yes")
    assert (found.code == truth).mean() > 0.95
    assert np.allclose(found.probability.sum(axis=1), 1.0, atol=1e-5)
    assert found.chance == max((truth[rows] == 0).mean(), (truth[rows] == 1).mean())
    assert found.accuracy > found.chance + 0.1
    with pytest.raises(UsageError, match="two classes"):
        learn(vectors, [0, 1], ["a", "a"], lonlat)
    assert np.isnan(learn(vectors, [0, 1], ["a", "b"], lonlat).accuracy)


def test_uncertain_places_come_next() -> None:
    """Oracle: the margins: what is offered is less certain than most, not labeled yet, and each once."""
    vectors, lonlat, truth = clouds()
    rows = np.arange(30)
    found = learn(vectors, rows, np.array(["no", "yes"])[truth[rows]], lonlat)
    offered = to_label_next(found, vectors, rows, 8)
    assert len(set(offered.tolist())) == 8
    assert not set(offered.tolist()) & set(rows.tolist())
    assert found.margin[offered].max() < np.median(found.margin)
    assert len(set(to_label_next(None, vectors, [], 8).tolist())) == 8
    assert len(to_label_next(found, vectors, np.arange(199), 8)) == 1
    assert len(to_label_next(found, vectors, np.arange(200), 8)) == 0


@pytest.mark.parametrize("name", ["", " ", "x" * 61, "=cmd()", "a\x00b"])
def test_names_of_classes_are_checked(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        Labels(tmp_path / "l.csv").give(["a"], name)


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"\xff\xfe\x00", b"", b"place_id,label\na,=1\n"])
def test_tables_that_are_no_labels_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError):
        read_labels(content)
    (tmp_path / "l.csv").write_bytes(content)
    with pytest.raises(InputError, match="move or rename it"):
        Labels.open(tmp_path / "l.csv", ["a"])


def test_labels_of_other_places_stay_in_the_file(tmp_path: Path) -> None:
    """A table of two towns, opened with the vectors of one: the other's labels are neither shown nor lost."""
    (tmp_path / "l.csv").write_text("place_id,label\na,park\nz,port\n")
    labels = Labels.open(tmp_path / "l.csv", ["a", "b"])
    assert labels.of == {"a": "park"}
    labels.give(["b"], "quay")
    assert read_labels((tmp_path / "l.csv").read_bytes()) == {"a": "park", "b": "quay", "z": "port"}


@pytest.mark.usefixtures("small_probes")
def test_labels_are_kept_and_evaluated(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Labeled in the app, read by a second app, and given to ``evaluate``, whose report compares vectors and baselines.

    Oracle: the labels themselves, which say where buildings cover more than at most places; the layers of the map.
    """
    labels = labels_of(project)
    shares = project.shares_at(np.arange(len(project.table)))
    assert shares is not None
    cover = shares[1][:, shares[0].index("buildings")]
    built, places = (cover > np.median(cover))[::3], project.table.place_id[::3]
    for name, side in (("built", True), ("open", False)):
        labels.give([str(one) for one, here in zip(places, built, strict=True) if here == side], name)
    labels.give([str(places[0])], None)
    assert len(labels.of) == len(places) - 1
    assert labels.problem == ""
    assert Labels.open(labels.path, list(project.row_of)).of == labels.of
    at = [project.row_of[one] for one in labels.of]
    prediction = learn(project.table.vectors, at, list(labels.of.values()), project.table.lonlat)
    assert prediction.accuracy > prediction.chance
    assert (
        prediction.code == [name == "open" for name in np.where(cover > np.median(cover), "b", "open")]
    ).mean() > 0.8
    assert [one.key for one in colorings(project, labels, prediction)] == ["predicted", "certainty", "label"]
    code = main(
        [
            "evaluate",
            str(project.path),
            "--labels",
            str(labels.path),
            "--json",
            "--seeds",
            "1",
            "--budget",
            "quick",
        ]
    )
    printed = capsys.readouterr()
    assert code == 0, printed.err
    task = next(one for one in json.loads(printed.out)["tasks"] if one["task"] == "label")
    names = list(labels.of.values())
    assert task["classes"] == {name: names.count(name) for name in ("built", "open")}
    reached = {row["name"]: row["scores"]["macro-F1"]["value"] for row in task["rows"]}
    assert {"chance", "vectors", "coordinates", "coverage fractions", "untrained encoder"} <= set(reached)
    assert reached["vectors"] > reached["chance"]
    assert task["verdict"]
    labels.give(list(labels.of), None)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    labels = Labels(tmp_path / "file" / "l.csv")
    labels.give(["a"], "park")
    assert labels.of == {"a": "park"}
    assert "cannot be written" in labels.problem
    assert labels.table() == b"place_id,label\na,park\n"
