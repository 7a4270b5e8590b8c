"""Checkpoints of the founding Where2Vec become models: their vectors, and what is refused.

Oracle: the documented architecture, put together here of other parts than the package's: peft around a text model, and an
image network of torch's own layers, with the names that the founding code gives them (founding document 000).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from placevec import api, cli
from placevec.errors import ModelError, PlacevecError, UsageError
from placevec.io.byte_texts import tokens_of
from placevec.models.importers.where2vec import import_where2vec
from placevec.models.model import Model
from tests.encoders import tiny_text_model

TEXTS = ["a lake called aino", "joki", "a field of wheat by the sea"]


class Founding(nn.Module):
    """Attention on raw bands, three blocks, mean, linear; peft with rank 8 and alpha 16, mean of tokens, linear."""

    def __init__(self, base: Path, dim: int = 12) -> None:
        super().__init__()
        import peft
        import transformers

        torch.manual_seed(3)
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(base)
        settings = peft.LoraConfig(
            r=8, lora_alpha=16, lora_dropout=0.1, target_modules=["query", "key", "value"]
        )
        self.text_encoder = peft.get_peft_model(transformers.AutoModel.from_pretrained(base), settings)
        self.text_proj = nn.Linear(32, dim)
        layers: dict[str, nn.Module] = {
            "attn": nn.Module(),
            "net": nn.Sequential(),
            "proj": nn.Linear(256, dim),
        }
        layers["attn"].mlp = nn.Sequential(  # type: ignore[assignment]
            nn.Linear(4, 1, bias=False), nn.ReLU(), nn.Linear(1, 4, bias=False), nn.Sigmoid()
        )
        for before, width in ((4, 64), (64, 128), (128, 256)):
            last = nn.AdaptiveAvgPool2d(1) if width == 256 else nn.MaxPool2d(2)
            layers["net"].extend(
                [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), last]
            )
        self.img_encoder = nn.ModuleDict(layers)
        with torch.no_grad():  # as if trained
            for name, value in self.named_parameters():
                if "lora_B" in name or "attn" in name:
                    value.normal_(0, 0.3)
            for norm in (one for one in self.modules() if isinstance(one, nn.BatchNorm2d)):
                norm.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                norm.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]

    def images(self, chips: Tensor) -> Tensor:
        """Of numbers as stored, clipped to 0..10,000."""
        x = chips.clamp(0, 10_000) / 10_000
        x = x * self.img_encoder["attn"].mlp(x.mean((2, 3)))[:, :, None, None]
        return nn.functional.normalize(self.img_encoder["proj"](self.img_encoder["net"](x).flatten(1)))

    def texts(self, texts: list[str]) -> Tensor:
        tokens = self.tokenizer(texts, padding=True, return_tensors="pt")
        hidden, mask = self.text_encoder(**tokens).last_hidden_state, tokens["attention_mask"][:, :, None]
        return nn.functional.normalize(self.text_proj((hidden * mask).sum(1) / mask.sum(1)))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_model.write(tmp_path_factory.mktemp("text") / "base")


@pytest.fixture(scope="module")
def founding(base: Path) -> Founding:
    return Founding(base).eval()


@pytest.fixture
def file(founding: Founding, tmp_path: Path) -> Path:
    torch.save(founding.state_dict(), tmp_path / "best_epoch_150.pt")
    return tmp_path / "best_epoch_150.pt"


def test_vectors_are_those_of_the_checkpoint(
    founding: Founding, base: Path, file: Path, tmp_path: Path
) -> None:
    """To 1e-5: images beyond the range of reflectances too, and texts of different lengths, as loaded again."""
    made = import_where2vec(file, tmp_path / "model", text_model=str(base))
    chips = torch.from_numpy(
        np.random.default_rng(0).integers(0, 14_000, (5, 4, 100, 100)).astype(np.float32)
    )
    for model in (made, Model.load(tmp_path / "model")):
        with torch.no_grad():
            torch.testing.assert_close(
                model.modules["image"](chips), founding.images(chips), atol=1e-5, rtol=1e-5
            )
            torch.testing.assert_close(
                model.modules["text"](tokens_of(TEXTS)), founding.texts(TEXTS), atol=1e-5, rtol=1e-5
            )
    assert made.dims == {"satellite": 12, "text": 12}
    assert made.specs["satellite"].channels == ("B02", "B03", "B04", "B08")
    assert {path.suffix for path in (tmp_path / "model").iterdir()} == {".json", ".md", ".safetensors"}
    largest = max(path.stat().st_size for path in (tmp_path / "model").glob("*.safetensors"))
    assert largest < 2_000_000  # without the text model


def test_by_the_command_with_consent_and_bands(base: Path, file: Path, tmp_path: Path) -> None:
    command = [
        "import-weights",
        str(file),
        "--as",
        "where2vec-s2",
        "--out",
        str(tmp_path / "m"),
        "--text-model",
        str(base),
    ]
    assert cli.main(command) == 2
    assert not (tmp_path / "m").exists()
    bands = ["--layers", "blue,green,red,nir"]
    assert cli.main([*command, *bands, "--yes-i-trust-this-file"]) == 0
    assert Model.load(tmp_path / "m").seen == ("blue", "green", "red", "nir")


def test_another_text_model_is_refused(file: Path, tmp_path: Path) -> None:
    other = tiny_text_model.write(tmp_path / "other", seed=1)
    with pytest.raises(ModelError, match="a different text model"):
        import_where2vec(file, tmp_path / "model", text_model=str(other))
    with pytest.raises(ModelError, match="is not on this machine"):
        import_where2vec(file, tmp_path / "model", text_model="nobody/nothing")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"img_encoder.net.8.weight": None}, "missing"),
        ({"img_encoder.attn.mlp.0.weight": torch.zeros(2, 4)}, "does not fit"),
        ({"img_encoder.net.5.running_var": torch.full((128,), float("nan"))}, "not finite"),
        ({"text_proj.weight": None}, "project.weight is missing"),
        ({"text_proj.weight": torch.zeros(7, 32), "text_proj.bias": torch.zeros(7)}, "but text vectors of 7"),
        ({"lora_A": None}, "is missing"),
        (
            {"base_layer": None, "embeddings": None, "LayerNorm": None, "dense": None},
            "no weights of a text model",
        ),
    ],
)
def test_what_does_not_fit_is_one_clear_line(
    founding: Founding, base: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    weights = {
        name: value
        for name, value in founding.state_dict().items()
        if not any(part in name for part, other in changes.items() if other is None)
    }
    weights.update({name: value for name, value in changes.items() if value is not None})
    torch.save(weights, tmp_path / "wrong.pt")
    with pytest.raises(PlacevecError, match=words) as caught:
        import_where2vec(tmp_path / "wrong.pt", tmp_path / "out", text_model=str(base))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_options_of_others(base: Path, file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--layers"):
        import_where2vec(file, tmp_path / "out", text_model=str(base), layers=("red", "green"))
    with pytest.raises(UsageError, match="where2vec-s2 reads chips"):
        api.import_weights(file, system="where2vec-s2", out=tmp_path / "out", zoom=17)
    with pytest.raises(UsageError, match="--text-model"):
        api.import_weights(file, system="loc2vec-rgb", out=tmp_path / "out", text_model=str(base))
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
