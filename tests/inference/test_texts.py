"""Words as a query: the text encoder's own vectors, ranked among images; what cannot be asked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from placevec import api, cli
from placevec.errors import InputError, PlacevecError, UsageError
from placevec.inference.texts import embed_texts
from placevec.io.byte_texts import tokens_of
from placevec.models.fusion import MeanFusion
from placevec.models.model import Model
from placevec.models.reading import Reading
from tests.models import many_views


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """Untrained, over a dataset of 96 places with image features and texts; and its vectors beside it."""
    many_views.register(monkeypatch)
    dataset = many_views.write(tmp_path / "data")
    torch.manual_seed(0)
    made = Model(
        {"image": many_views.Columns(12, 8), "text": many_views.Letters(8)},
        {
            "satellite": Reading("image", dataset.spec("satellite")),
            "text": Reading("text", dataset.spec("text")),
        },
        fuse=MeanFusion(["satellite", "text"], 8),
    )
    made.save(tmp_path / "model")
    api.embed(made, dataset).save(tmp_path / "vectors.parquet")
    return made


def test_a_query_is_ranked_by_the_text_encoder(model: Model, tmp_path: Path) -> None:
    """Oracle: cosines by numpy of the encoder's vector with the table's, by view and for the fused ones."""
    text = "woodland стежка"
    with torch.no_grad():
        query = model.modules["text"](tokens_of([text]))[0].numpy()
    assert np.array_equal(embed_texts(model, [text])[0][0], query)
    table = tmp_path / "vectors.parquet"
    dataset = many_views.Dataset.open(tmp_path / "data")
    encoded = model.encode(dataset)
    for view in ("satellite", "fused"):
        there = np.flatnonzero(np.isfinite(encoded[view][:, 0]))
        cosines = encoded[view][there] @ query / np.linalg.norm(encoded[view][there], axis=1)
        ids = dataset.places["place_id"].to_numpy(object)[there[np.argsort(-cosines, kind="stable")[:5]]]
        found = api.similar(table, text=text, view=view, k=5, min_distance_m=0)
        assert found.attrs["query"]["text"] == text
        wanted = 1 + np.sort(-cosines / np.linalg.norm(query))[:5]
        assert np.allclose(wanted, found["distance"], atol=1e-5)
        assert (
            view == "fused" or found.place_id.tolist() == ids.tolist()
        )  # fused vectors of one text are equal
    apart = api.similar(table, text=text, view="satellite", k=5, min_distance_m=3_000.0)
    assert len(apart) == 5  # results keep apart, though the words lie nowhere


def test_from_the_command_line(model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Oracle: the ranking of the API, and what is printed of a query of words."""
    table = str(tmp_path / "vectors.parquet")
    assert (
        cli.main(["search", table, "--text", "tramway <b>", "--view", "satellite", "-k", "3", "--json"]) == 0
    )
    found = json.loads(capsys.readouterr().out)
    wanted = api.similar(table, text="tramway <b>", view="satellite", k=3)
    assert [row["place_id"] for row in found["results"]] == wanted.place_id.tolist()
    assert cli.main(["search", table, "--text", "tramway"]) == 0
    assert (
        "Places similar to the text 'tramway', by the fused vectors of all views" in capsys.readouterr().out
    )
    assert cli.main(["search", table, "--text", "x", "--place", "p00"]) == 2


def test_what_cannot_be_asked(model: Model, tmp_path: Path) -> None:
    table = tmp_path / "vectors.parquet"
    with pytest.raises(UsageError, match="is empty"):
        api.similar(table, text=" ")
    (tmp_path / "model").rename(tmp_path / "moved")
    with pytest.raises(InputError, match="give it with --model"):
        api.similar(table, text="x")
    assert len(api.similar(table, text="x", model=tmp_path / "moved", k=2)) == 2
    image = Model({"image": model.modules["image"]}, {"satellite": model.readings["satellite"]})
    with pytest.raises(PlacevecError, match="this one has none, it reads satellite"):
        embed_texts(image, ["x"])
