"""Founding checkpoints become models: their numbers, what is refused, and that nothing in them is run."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from placevec import api, cli
from placevec.encoders.tile_cnn import FoundingRgbCNN, FoundingTileCNN
from placevec.errors import PlacevecError
from placevec.models.importers.loc2vec import import_founding
from placevec.models.model import Model

LAYOUT = {
    "loc2vec-12": ("encoder.conv_layers.", "encoder.fc_layers."),
    "loc2vec-rgb": ("loc2vec.encoder.", "loc2vec.fc."),
}
"""How the two systems call their two parts in the checkpoints they write (reference to their code: founding 001, 004)."""


def network(system: str) -> nn.Module:
    torch.manual_seed(1)
    if system == "loc2vec-12":
        return FoundingTileCNN(channels=12, size_px=32, dim=6).eval()
    return FoundingRgbCNN(channels=3, size_px=32, dim=5).eval()


def theirs(system: str, module: nn.Module) -> dict[str, Tensor]:
    """The weights under the founding names: there, flattening is no layer, so matrices count from 0."""
    convolutions, head = LAYOUT[system]
    named = {}
    for key, value in module.state_dict().items():
        part, number, kind = key.split(".")
        named[
            f"{convolutions}{number}.{kind}" if part == "convolutions" else f"{head}{int(number) - 1}.{kind}"
        ] = value
    return named


def checkpoint(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("system", LAYOUT)
def test_a_checkpoint_becomes_a_model_with_its_vectors(system: str, tmp_path: Path) -> None:
    """Oracle: the network that the checkpoint was made of; with everything that the founding trainers saved."""
    module = network(system)
    optimizer = torch.optim.Adam(module.parameters())
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    weights = theirs(system, module)
    content = {
        "epoch": 7, "model_state_dict": weights, "optimizer_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": schedule.state_dict(), "best_val_loss": float("inf"),
        "training_history": {"train_loss": [0.5, 0.4]}, "training_args": {"lr": 0.001, "no_cuda": False},
    }  # fmt: skip
    bare = {f"module.{name}": value for name, value in weights.items()}
    for number, saved in enumerate((content, weights, bare)):
        file = checkpoint(tmp_path / f"{number}.pth", saved)
        model = import_founding(file, system, tmp_path / f"model{number}", zoom=18)
        pixels = (torch.rand(3, len(model.seen), 32, 32) < 0.3).to(torch.uint8) * 255
        with torch.no_grad():
            torch.testing.assert_close(model.modules["tile"](pixels), module(pixels))
        spec = model.specs["map"]
        assert (spec.size_px, spec.size_m, spec.zoom) == (32, None, 18)
        assert model.hash == Model.load(tmp_path / f"model{number}").hash
        held = {**content, "model_state_dict": {**weights, "decoder.weight": torch.zeros(2)}}
        assert model.training["imported"]["tensors_left_out"] == 0
        if number == 0:
            more = import_founding(
                checkpoint(tmp_path / "more.pth", held), system, tmp_path / "more", zoom=18
            )
            assert more.training["imported"]["tensors_left_out"] == 1
        card = (tmp_path / f"model{number}" / "MODEL_CARD.md").read_text()
        assert "founding" in card
        assert {path.suffix for path in (tmp_path / f"model{number}").iterdir()} == {
            ".json",
            ".md",
            ".safetensors",
        }


def test_channels_are_named_in_the_order_given(tmp_path: Path) -> None:
    file = checkpoint(tmp_path / "a.pth", theirs("loc2vec-12", network("loc2vec-12")))
    names = tuple(f"layer{number}" for number in range(12))
    assert import_founding(file, "loc2vec-12", tmp_path / "own", layers=names).seen == names
    for wrong in (names[:11], (*names[:11], names[0])):
        with pytest.raises(PlacevecError, match="--layers"):
            import_founding(file, "loc2vec-12", tmp_path / "wrong", layers=wrong)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def test_a_pickle_with_code_is_rejected_and_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    weights: dict[str, Any] = theirs("loc2vec-rgb", network("loc2vec-rgb"))
    file = checkpoint(tmp_path / "trap.pt", {"model_state_dict": weights, "note": Trap(trace)})
    with pytest.raises(PlacevecError, match="contains code or objects"):
        import_founding(file, "loc2vec-rgb", tmp_path / "out")
    assert not trace.exists()
    assert not (tmp_path / "out").exists()
    torch.load(file, weights_only=False)  # the trap is a real one
    assert trace.exists()


def changed(**changes: Any) -> dict[str, Any]:
    weights: dict[str, Any] = dict(theirs("loc2vec-rgb", network("loc2vec-rgb")))
    for name, value in changes.items():
        key = "loc2vec." + name.replace("__", ".")
        if value is None:
            del weights[key]
        else:
            weights[key] = value
    return weights


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed(encoder__0__weight=None), "missing"),
        (changed(encoder__5__running_var=None), "missing"),
        (changed(encoder__4__bias=torch.zeros(63)), "does not fit"),
        (changed(fc__2__weight=torch.full((5, 512), float("nan"))), "not finite"),
        (changed(fc__2__weight=torch.zeros(5, 512, dtype=torch.complex64)), "does not fit"),
        (changed(fc__2__weight=torch.zeros(10**6, 1).expand(10**6, 512)), "dim must be an integer"),
        (changed(fc__0__weight=torch.zeros(1, 1).expand(512, 4 * 256)), "fewer numbers"),
        ({"model_state_dict": {"a": 1}}, "no named weights"),
        ({}, "no named weights"),
        ([1, 2], "no named weights"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(content: Any, words: str, tmp_path: Path) -> None:
    file = checkpoint(tmp_path / "wrong.pt", content)
    with pytest.raises(PlacevecError, match=words) as caught:
        import_founding(file, "loc2vec-rgb", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    good = checkpoint(tmp_path / "good.pt", theirs("loc2vec-rgb", network("loc2vec-rgb"))).read_bytes()
    bomb = tmp_path / "bomb.pt"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", b"\0" * 10**7)
    (tmp_path / "cut.pt").write_bytes(good[: len(good) // 2])
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "pickle.pt").write_bytes(b"\x80\x04N.")
    (tmp_path / "other.pt").write_bytes(good.replace(b"collections", b"collectionz"))
    for name in ("bomb", "cut", "empty", "pickle", "other", "absent"):
        with pytest.raises(PlacevecError):
            import_founding(tmp_path / f"{name}.pt", "loc2vec-rgb", tmp_path / "out")
    with pytest.raises(PlacevecError, match="is not a checkpoint of the original network founding-tile-cnn"):
        import_founding(tmp_path / "good.pt", "loc2vec-12", tmp_path / "out")
    with pytest.raises(PlacevecError, match="choose from"):
        import_founding(tmp_path / "good.pt", "loc2vec-7", tmp_path / "out")
    api.import_weights(tmp_path / "good.pt", system="loc2vec-rgb", out=tmp_path / "out")
    with pytest.raises(PlacevecError, match="another --out"):
        import_founding(tmp_path / "good.pt", "loc2vec-rgb", tmp_path / "out")


def test_the_command_asks_for_consent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = checkpoint(tmp_path / "a.pt", theirs("loc2vec-rgb", network("loc2vec-rgb")))
    command = ["import-weights", str(file), "--as", "loc2vec-rgb", "--out", str(tmp_path / "m")]
    assert cli.main(command) == 2
    assert "--yes-i-trust-this-file" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
    assert cli.main([*command, "--yes-i-trust-this-file"]) == 0
    assert "vectors of 5 dimensions" in capsys.readouterr().out
