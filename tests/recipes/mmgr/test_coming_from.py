"""The page for users of the original MMGR: every command runs, with small networks; every flag of the table exists.

Oracles: exit codes, the files that the commands promise, and the flags of the command line itself.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from placevec.datasets.dataset import Dataset
from tests.cli.commands import options_of, run

TEXT = (Path(__file__).resolve().parents[3] / "docs/coming-from/mmgr.md").read_text("utf-8")
COMMANDS = [line for block in re.findall(r"```\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
SMALL = {
    "train": "--encoder resnet-18 --dim 512 --image-hidden 64 --size-px 32 --batch-size 4 --epochs 1 --steps-per-epoch 1"
    " --save-every 0 --projector 0 --max-places 40",
    "evaluate": "--seeds 1 --folds 2 --budget quick",
}
"""Options that keep the founding preset quick."""


@pytest.mark.slow
@pytest.mark.usefixtures("small_probes")
def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random, folder = np.random.default_rng(0), tmp_path / "the_path_to_your_img_and_poi_data"
    table = torch.randn(6, 64, generator=torch.Generator().manual_seed(0))
    for kind in ("img", "emb"):
        (folder / f"sub_shanghai_{kind}").mkdir(parents=True)
    for cell in range(8):
        Image.fromarray(random.integers(0, 255, (40, 40, 3), np.uint8)).save(
            folder / f"sub_shanghai_img/{cell}.png"
        )
        torch.save(table[random.integers(0, 6, 5)], folder / f"sub_shanghai_emb/{cell}.tensor")
    assert len(COMMANDS) >= 6
    for command in COMMANDS:
        words = shlex.split(command)[1:]
        if words[0] == "evaluate":
            dataset = Dataset.open("data/cells")
            rows = [
                f"{name},{lat}" for name, lat in zip(dataset.place_ids, dataset.lonlat[:, 1], strict=True)
            ]
            Path("residents.csv").write_text("\n".join(["place_id,residents", *rows]))
        code, said = run([*words, *SMALL.get(words[0], "").split()])
        assert code == 0, f"{command}\n{said}"
    assert (tmp_path / "report" / "report.json").exists()
    assert (tmp_path / "runs" / "sample" / "model.safetensors").exists()


def test_every_flag_of_the_tables_is_known() -> None:
    """Of the second column; and every flag of the two founding scripts has a row."""
    founding = {
        "--data_path", "--lr", "--batch_size", "--projection_dim", "--resnet", "--temperature", "--world_size",
        "--total_epoch", "--model_path", "--schedule", "--cos", "--train_record",
    }  # fmt: skip
    for script in ("mmgr.py", "res-pop.py"):
        rows = TEXT.partition(f"<!-- table: {script} -->")[2].partition("<!-- end -->")[0]
        cells = [line.strip("|").split("|") for line in rows.splitlines() if line.startswith("| `--")]
        assert {flag for row in cells for flag in re.findall(r"--\w+", row[0])} == founding
        known = {option for verb in ("train", "evaluate", "embed") for option in options_of(verb)}
        assert {flag for row in cells for flag in re.findall(r"--[a-z][a-z-]+", row[1])} <= known
