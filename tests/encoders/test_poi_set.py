"""Encoders of sets of points of interest.

Oracles: Set2Set of PyTorch Geometric, recorded with its weights; attention and softmax of torch, set by set; invariance
to the order of points; the number of weights of the founding system.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from placevec import encoders
from placevec.core import Ragged
from placevec.encoders.poi_categories import PoiCategories
from placevec.encoders.poi_set import (
    AttentionPooling,
    DistanceCounts,
    GraphAttention,
    PoiSetEncoder,
    Set2Set,
    segment_softmax,
    segments_of,
)
from placevec.errors import ModelError
from placevec.training.objectives.cells import Projection

OFFSETS = torch.tensor([0, 4, 4, 5, 9])
SEGMENT = segments_of(Ragged(torch.zeros(9, 3), OFFSETS))


def points(seed: int = 0) -> Ragged:
    generator = torch.Generator().manual_seed(seed)
    values = torch.cat(
        [torch.randint(0, 5, (9, 1), generator=generator), 100 * torch.randn(9, 2, generator=generator)], 1
    )
    edges = torch.tensor([[0, 1, 1, 2, 2, 3, 5, 6, 6, 7, 7, 8], [1, 0, 2, 1, 3, 2, 6, 5, 7, 6, 8, 7]])
    return Ragged(values, OFFSETS, edges)


def test_set2set_of_pytorch_geometric() -> None:
    recorded = np.load(Path(__file__).with_name("set2set_recorded.npz"))
    ours = Set2Set(6, steps=5)
    ours.lstm.load_state_dict({name: torch.from_numpy(recorded[name]) for name in ours.lstm.state_dict()})
    result = ours(torch.from_numpy(recorded["members"]), torch.from_numpy(recorded["segment"]), 3)
    torch.testing.assert_close(result, torch.from_numpy(recorded["result"]), atol=1e-6, rtol=1e-5)


def test_the_weights_of_the_founding_system() -> None:
    """Published: 115,584 of Set2Set over 64 components and of the projection head."""
    parts = (Set2Set(64), Projection(128, 256, 128))
    assert sum(value.numel() for part in parts for value in part.parameters()) == 115_584


def test_softmax_set_by_set() -> None:
    scores = 30 * torch.randn(9, 2, generator=torch.Generator().manual_seed(1))
    found = segment_softmax(scores, SEGMENT, 4)
    for first, last in ((0, 4), (4, 5), (5, 9)):
        torch.testing.assert_close(found[first:last], torch.softmax(scores[first:last], 0))


def test_attention_is_that_of_torch() -> None:
    pooling = AttentionPooling(8, heads=2)
    members = torch.randn(9, 8, generator=torch.Generator().manual_seed(1))
    pooled = pooling(members, SEGMENT, 4)
    some = members[5:9]
    keys, values = (layer(some).view(4, 2, 4).transpose(0, 1) for layer in (pooling.keys, pooling.values))
    expected = torch.nn.functional.scaled_dot_product_attention(
        pooling.queries[:, None], keys, values, scale=1.0
    )
    torch.testing.assert_close(pooled[3, :8], expected.flatten())
    torch.testing.assert_close(pooled[3, 8:16], some.mean(0))
    assert pooled[:, 16].exp().round().tolist() == [5, 1, 2, 5]  # 1 + size
    assert not pooled[1, :16].any()


def test_graph_attention_stays_within_components() -> None:
    """A gradient reaches a point and its neighbors, and nothing else."""
    members = torch.randn(9, 8, requires_grad=True)
    edges = points().edges
    assert edges is not None
    GraphAttention(8, 2)(members, edges)[1].sum().backward()
    assert members.grad is not None
    assert torch.nonzero(members.grad.abs().sum(1)).squeeze(1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("pooling", ["attention", "set2set", "graph"])
def test_the_order_of_points_does_not_matter(pooling: str) -> None:
    torch.manual_seed(0)
    encoder = encoders.build("poi-set", categories=5, dim=16, category_dim=8, pooling=pooling).eval()
    given = points()
    order = torch.tensor([2, 0, 3, 1, 4, 8, 7, 5, 6])
    edges = torch.argsort(order)[given.edges]
    other = Ragged(given.values[order], given.offsets, edges)
    torch.testing.assert_close(encoder(given), encoder(other), atol=1e-5, rtol=1e-4)
    assert encoder(given).shape == (4, 16)
    again = encoders.build("poi-set", **encoder.config())
    again.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(encoder(given), again.eval()(given))


def test_positions_are_read_unless_left_out() -> None:
    moved = points()
    moved.values[:, 1:] += 37.0
    for positions in (True, False):
        encoder = PoiSetEncoder(5, 16, 8, positions=positions)
        assert torch.allclose(encoder(points()), encoder(moved)) is not positions


def test_points_are_counted_by_distance() -> None:
    """Oracle: the formula in NumPy, set by set, in float64."""
    given = points()
    pool = DistanceCounts(4, distances=3, size_m=400.0, learned=2)
    members = torch.randn(9, 4, generator=torch.Generator().manual_seed(2))
    found = pool(members, given.values[:, 1:], SEGMENT, 4).detach().double().numpy()
    weight, bias = (value.detach().double().numpy() for value in (pool.weigh.weight, pool.weigh.bias))
    near = np.exp(
        -np.hypot(*given.values[:, 1:].double().numpy().T)[:, None] / np.array([200.0, 100.0, 50.0])
    )
    weights = np.log1p(np.exp(np.hstack([members.double().numpy(), near]) @ weight.T + bias))
    for number, (first, last) in enumerate(((0, 4), (4, 4), (4, 5), (5, 9))):
        expected = np.log1p(np.hstack([near, weights])[first:last].sum(0))
        np.testing.assert_allclose(found[number], expected, atol=1e-5)


def test_models_without_distances_keep_their_weights() -> None:
    """Oracle: the tensors of the encoder before there were distances; twice the points are told apart either way."""
    without = PoiSetEncoder(5, 16, 8)
    assert {name for name, _ in without.named_parameters()} == {
        "vectors.weight", "place.weight", "place.bias", "pool.queries", "pool.keys.weight", "pool.keys.bias",
        "pool.values.weight", "pool.values.bias", "project.weight", "project.bias",
    }  # fmt: skip
    assert PoiSetEncoder(5, 16, 8, pooling="set2set", distances=7).near is None
    assert PoiSetEncoder(5, 16, 8, positions=False, distances=7).config()["distances"] == 0


def test_categories_that_were_not_seen_get_the_mean_of_their_group() -> None:
    table = PoiCategories(5, 4, parents=[0, 0, 0, 3, 3], seen=[False, True, True, False, False])
    found, weight = table.table(), table.vectors.weight
    torch.testing.assert_close(found[0], weight[1:3].mean(0))
    torch.testing.assert_close(found[4], weight[1:3].mean(0))  # nothing of its group was seen: all that was
    sets = Ragged(torch.tensor([[1.0, 0, 0], [2.0, 0, 0], [1.0, 0, 0]]), torch.tensor([0, 2, 2, 3]))
    torch.testing.assert_close(table(sets), torch.stack([weight[1:3].mean(0), 0 * weight[0], weight[1]]))


def test_what_is_refused() -> None:
    with pytest.raises(ModelError, match="pooling must be one of"):
        PoiSetEncoder(3, pooling="mean")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="must be a multiple of the number of heads"):
        PoiSetEncoder(3, category_dim=6)
    with pytest.raises(ModelError, match="categories must be 0 to 2; got 4"):
        PoiSetEncoder(3)(Ragged(torch.tensor([[4.0, 0, 0]]), torch.tensor([0, 1])))
    with pytest.raises(ModelError, match="reads edges between points"):
        PoiSetEncoder(3, pooling="graph")(Ragged(torch.zeros(1, 3), torch.tensor([0, 1])))
    with pytest.raises(ModelError, match="reads sets of points"):
        PoiSetEncoder(3)(torch.zeros(2, 3))
