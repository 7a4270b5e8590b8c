"""Every command and flag of the page for those who come from Sphere2Vec, on small files of the layouts that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from placevec.encoders.locations.names import known_as
from tests.cli.commands import options_of, run
from tests.models.importers.test_torchspatial import checkpoint, saved
from tests.sources.benchmarks import layout_files as geo_prior_files

PAGE = Path(__file__).resolve().parent.parent / "docs" / "coming-from" / "sphere2vec.md"
TEXT = PAGE.read_text("utf-8")
COMMANDS = [line for block in re.findall(r"```\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
FLAGS = set(
    re.findall(
        r"\w+",
        "unsuper_dataset unsuper_meta_type dataset meta_type eval_split load_val_op cnn_model "
        "load_cnn_predictions load_cnn_features load_cnn_features_train load_img inat2018_resolution "
        "cnn_pred_type device model_dir num_epochs num_epochs_unsuper spa_enc_type frequency_num max_radius "
        "min_radius num_hidden_layer hidden_dim num_rbf_anchor_pts rbf_kernal_size loc_encode num_filts "
        "freq_init spa_f_act map_range use_layn skip_connection spa_enc_use_postmat use_date_feats date_encode "
        "train_loss neg_rand_type train_sample_ratio train_sample_method unsuper_loss num_neg_rand_loc "
        "rand_sample_weight simcse_weight unsuper_lr do_unsuper_train load_unsuper_model unsuper_temp_inbatch "
        "unsuper_temp_negloc unsuper_temp_simcse unsuper_eval_frequency lr lr_decay weight_decay dropout "
        "batch_size log_frequency max_num_exs_per_class balanced_train_loader eval_frequency "
        "unsuper_save_frequency load_super_model do_super_train do_epoch_save",
    )
)
"""Of trainer.py at babd338; those of run_evaluation.py are among them."""
SMALLER = {"--epochs": "1", "--hidden": "16", "--scales": "4", "--dim": "8", "--resolution": "10"}
SHORTER = {
    "train": ["--epochs", "1", "--device", "cpu", "--hidden", "16", "--dim", "8", "--quiet"],
    "benchmark": [
        "--budget",
        "2m",
        "--points",
        "600",
        "--seeds",
        "1",
        "--folds",
        "2",
        "--probes",
        "ridge",
        "--no-plots",
    ],
}
"""Added or in the place of what would make a test long."""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the page's commands read, made up."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    lonlat = np.c_[random.uniform(-180, 180, 60), random.uniform(-80, 80, 60)]
    folder = tmp_path / "geo_prior_data/data/inat_2018"
    geo_prior_files.inat(folder, 2018)
    items = [(*point, row % 5, 0.5, row % 4) for row, point in enumerate(lonlat.tolist())]
    geo_prior_files._coco(folder, "train2018_locations.json", "train2018.json", 100, items)
    table = pd.DataFrame(lonlat, columns=["lon", "lat"])
    table.to_csv(tmp_path / "points.csv", index=False)
    table.to_csv(tmp_path / "photos.csv", index=False)
    np.save(tmp_path / "features.npy", random.standard_normal((60, 12)).astype(np.float32))
    seen = table.assign(species=["owl", "jay"] * 30, observer=["a", "b", "c"] * 20, seen_on="2024-05-01")
    seen.to_csv(tmp_path / "sightings.csv", index=False)
    theirs = checkpoint("Sphere2Vec-sphereC+")
    saved(theirs, tmp_path / "model_fmow_sphereC+.pth.tar")
    classes = theirs["state_dict"]["class_emb.weight"].shape[0]
    (tmp_path / "fmow.txt").write_text("\n".join(f"class {number}" for number in range(classes)))
    return tmp_path


def _words(command: str) -> list[str]:
    words = shlex.split(command)[1:]
    for at, word in enumerate(words[:-1]):
        words[at + 1] = SMALLER.get(word, words[at + 1])
    short = SHORTER.get(words[0], [])
    extra: list[str] = []
    for at, word in enumerate(short):
        takes_value = at + 1 < len(short) and not short[at + 1].startswith("--")
        known = word in words or ("--init" in words and word in ("--hidden", "--dim"))
        if word.startswith("--") and not known:
            extra += [word, short[at + 1]] if takes_value else [word]
    return [*words, *extra]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("small_probes")
def test_every_command_runs(files: Path) -> None:
    """In the order of the page, each with exit code 0; then what they promise is there.

    All encoders, one after the other, are trained by a command of `tests/recipes/sphere2vec/test_build.py`.
    """
    assert len(COMMANDS) > 12
    for command in COMMANDS:
        if "--encoder all" in command:
            continue
        code, printed = run(_words(command))
        assert code == 0, f"{command}\n{printed}"
    for made in ("owl.png", "owl.tif", "vectors.parquet", "report/report.json", "side-by-side.png"):
        assert (files / made).stat().st_size > 500, made
    assert (files / "models/fmow/config.json").exists()


def test_the_names_are_those_of_the_registry() -> None:
    """The founding table: thirteen rows, whose first two columns both mean the third."""
    rows = re.findall(r"^\| ([^|`]+) \| `(\w+)` \| `([^`]+)` \|$", TEXT, re.MULTILINE)
    assert len(rows) == 13
    for paper, code, ours in rows:
        assert known_as(paper) == known_as(code) == ours


def test_every_flag_of_the_original_is_handled() -> None:
    """Each stands in a first column, once or with what it took."""
    asked = {
        flag
        for line in TEXT.splitlines()
        if line.startswith("| `")
        for flag in re.findall(r"--([a-z0-9_]+)", line.split("|")[1])
    }
    assert not FLAGS - asked


def test_every_option_of_the_tables_is_known() -> None:
    """Each option of a second or third column is one of the verb that its heading names."""
    verb, seen = "", 0
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or len(cells) < 3:
            continue
        if named := re.match(r"`placevec ([a-z-]+)", cells[1]):
            verb = named[1]
            continue
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(cells[1:])):
            assert flag in options_of(verb) | {"--logdir"}, f"{flag} is no option of {verb}: {line}"
            seen += 1
    assert seen > 40
