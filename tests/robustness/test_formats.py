"""Files of other versions, of other models, and files that attack: refused in one line, and never unpickled."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.inference.embed import inputs_of_parts
from placevec.io.jobs import Job
from placevec.models.model import Model
from tests.robustness import content, jobs
from tests.robustness.commands import Nursery, refused
from tests.robustness.pickles import in_numpy_file, telltale
from tests.unsealed import unsealed


@pytest.fixture
def data(helsinki_dataset: Dataset, tmp_path: Path) -> Path:
    return Path(shutil.copytree(helsinki_dataset.path, tmp_path / "data"))


@pytest.fixture
def run(quick_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(quick_run, tmp_path / "run"))


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**unsealed(json.loads(path.read_text())), **changes}))


# --- versions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "advice"), [(0, "prepare it again"), (2, "update placevec"), ("x", "schema x")]
)
def test_a_dataset_of_another_schema(
    nursery: Nursery, data: Path, quick_run: Path, options: Path, version: object, advice: str, tmp_path: Path
) -> None:
    """By every command that reads one; it stays as it is."""
    _edit(data / "dataset.json", schema_version=version)
    before = (data / "dataset.json").read_bytes()
    for command in (
        ["info", data],
        ["prepare", "loc2vec", *jobs.PLACES, "--spacing", "60", "--out", data],
        ["train", "loc2vec", data, "--config", options, "-q", "--out", tmp_path / "new"],
        ["embed", quick_run, data, "-q", "-o", tmp_path / "e.parquet"],
    ):
        refused(nursery.run(*command), advice, str(data))
    assert (data / "dataset.json").read_bytes() == before
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "e.parquet").exists()


@pytest.mark.parametrize(("version", "advice"), [(0, "train it again"), (3, "update placevec")])
def test_a_model_of_another_schema(
    nursery: Nursery, run: Path, helsinki_dataset: Dataset, version: int, advice: str, tmp_path: Path
) -> None:
    _edit(run / "config.json", schema_version=version)
    for command in (
        ["info", run], ["embed", run, helsinki_dataset.path, "-q", "-o", tmp_path / "e.parquet"],
    ):  # fmt: skip
        refused(nursery.run(*command), advice, str(run))


@pytest.mark.parametrize(("version", "advice"), [(0, "embed the places again"), (2, "update placevec")])
def test_a_table_of_another_schema(
    nursery: Nursery, quick_table: Path, version: int, advice: str, tmp_path: Path
) -> None:
    table = pq.read_table(quick_table)
    metadata = dict(table.schema.metadata)
    ours = {**json.loads(metadata[b"placevec"]), "schema_version": version}
    metadata[b"placevec"] = json.dumps(ours).encode()
    other = tmp_path / "other.parquet"
    pq.write_table(table.replace_schema_metadata(metadata), other)
    for command in (
        ["info", other], ["search", other, "--lon", 24.94, "--lat", 60.17], ["evaluate", other, "-q"],
        ["explore", other, "--html", tmp_path / "page.html", "--projections", "pca", "-q"],
    ):  # fmt: skip
        refused(nursery.run(*command), advice, str(other))


# --- what does not fit together ------------------------------------------------------------------------------


def test_models_datasets_and_vectors_that_do_not_fit(
    nursery: Nursery, run: Path, quick_table: Path, quick_run: Path, options: Path, tmp_path: Path
) -> None:
    """Channels that differ; a query embedded by another model or from another dataset than the table's vectors."""
    (tmp_path / "layers.toml").write_text(
        '[[layer]]\nname = "houses"\nrules = [{ key = "building", fill = true }]\n'
        '[[layer]]\nname = "shops"\nrules = [{ key = "shop", fill = true }]\n'
    )
    houses = tmp_path / "houses"
    made = nursery.run(
        "prepare",
        "loc2vec",
        *jobs.PLACES,
        "--spacing",
        150,
        "--layers",
        tmp_path / "layers.toml",
        "--out",
        houses,
    )
    assert made.code == 0, made.err
    refused(nursery.run("embed", quick_run, houses, "-q", "-o", tmp_path / "e.parquet"), "lacks", "buildings")
    again = ["train", "loc2vec", houses, "--config", options, "-q", "--resume", "--out", run]
    before = content.of_run(run)
    refused(nursery.run(*again), "cannot resume", "dataset_hash")
    assert content.of_run(run) == before
    other = tmp_path / "other"
    data = Dataset.open(api.load_embeddings(quick_table).provenance.dataset_path).path
    assert nursery.run(*jobs.train(data, options).arguments(other), "--seed", 5).code == 0
    query = ["search", quick_table, "--lon", 24.94, "--lat", 60.17]
    refused(nursery.run(*query, "--model", other), "a different model")
    refused(nursery.run(*query, "--dataset", houses), "a different dataset")
    refused(nursery.run("evaluate", quick_table, "--model", other, "-q"), "a different model")
    assert sorted(path.name for path in tmp_path.glob("*.parquet")) == []


def test_a_run_that_changed_no_longer_answers_for_its_vectors(
    nursery: Nursery, helsinki_dataset: Dataset, run: Path, options: Path, tmp_path: Path
) -> None:
    """Vectors of two models in one search: the recorded run was trained anew, so nothing is embedded afresh."""
    table = tmp_path / "e.parquet"
    assert nursery.run(*jobs.embed(run, helsinki_dataset.path).arguments(table)).code == 0
    query = ["search", table, "--lon", 24.94, "--lat", 60.17, "--json"]
    assert json.loads(nursery.run(*query).out)["query"]["embedded_afresh"]
    anew = ["train", "loc2vec", helsinki_dataset.path, "--config", options, "-q", "--force", "--seed", 9]
    assert nursery.run(*anew, "--out", run).code == 0
    assert not json.loads(nursery.run(*query).out)["query"]["embedded_afresh"]


# --- pickles -------------------------------------------------------------------------------------------------


def test_the_telltales_tell(tmp_path: Path) -> None:
    """Oracle: the standard library's pickle, and numpy with pickles allowed, do make the file."""
    pickle.loads(telltale(tmp_path / "one"))  # noqa: S301 - our own
    np.load(io.BytesIO(in_numpy_file(tmp_path / "two")), allow_pickle=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_pickles_in_the_place_of_models_and_states(
    nursery: Nursery, helsinki_dataset: Dataset, run: Path, options: Path, tmp_path: Path
) -> None:
    """A checkpoint as a file, as the weights, as the state to resume from, as the state's counters."""
    trace = tmp_path / "trace"
    evil, data = telltale(trace), helsinki_dataset.path
    for name in ("evil.pt", "evil.pkl", "evil.ckpt"):
        (tmp_path / name).write_bytes(evil)
        refused(nursery.run("embed", tmp_path / name, data, "-o", tmp_path / "e.parquet"), "pickle")
    (state,) = (run / "state").iterdir()
    resume = jobs.train(data, options).arguments(run)
    for path in (
        state / "tensors.safetensors", state / "state.json", run / "model.safetensors", run / "config.json",
        run / "metrics.jsonl",
    ):  # fmt: skip
        good = path.read_bytes()
        path.write_bytes(evil)
        ended = nursery.run(*resume)
        if path.parent == state:
            refused(ended, "damaged", str(path.parent))
            assert path.read_bytes() == evil
        if path.parent == run and path.name != "metrics.jsonl":
            refused(nursery.run("info", run))
            refused(nursery.run("embed", run, data, "-o", tmp_path / "e.parquet"))
        path.write_bytes(good)
        assert not trace.exists(), path
    assert not (tmp_path / "e.parquet").exists()


def test_pickles_among_half_done_work(
    nursery: Nursery, helsinki_dataset: Dataset, quick_run: Path, quick_table: Path, tmp_path: Path
) -> None:
    """A part of an embedding that is a pickle, is cut or is of another shape is made again, not opened."""
    trace, out = tmp_path / "trace", tmp_path / "e.parquet"
    work = tmp_path / ".e.parquet.work"
    command = jobs.embed(quick_run, helsinki_dataset.path).arguments(out)
    whole = content.of_table(quick_table)
    model = Model.load(quick_run)
    inputs = inputs_of_parts(model, helsinki_dataset, ["map"], 64)
    zeros = np.zeros((len(helsinki_dataset), model.dims["map"]), np.float32)
    Job(work, inputs).put_array("part-000000", zeros)
    assert nursery.run(*command).code == 0
    assert content.of_table(out) != whole  # the part is taken over: its inputs are right
    job = Job(tmp_path / "other", inputs)
    for name, held in (("forged", in_numpy_file(trace)), ("whole", np.zeros((3, 128), np.float32).tobytes())):
        job.put(name, held)
    forged, cut = ((job.work / name).read_bytes() for name in ("forged", "whole"))
    for bad in (telltale(trace), in_numpy_file(trace), b"", forged, cut[:-7]):
        (Job(work, inputs).work / "part-000000").write_bytes(bad)
        ended = nursery.run(*command)
        assert ended.code == 0, ended.err
        assert content.of_table(out) == whole
        assert not work.exists()
        assert not trace.exists()
