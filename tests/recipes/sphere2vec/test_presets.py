"""The recovered hyper-parameters of Sphere2Vec: as the checkpoints are named, and the same wavelengths in our units."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

import placevec as pv
from placevec.encoders.locations.names import positional
from placevec.errors import ModelError, UsageError
from placevec.recipes.sphere2vec.presets import DATASETS, ENCODERS, encoder_options, published

AROUND_KM = 2 * math.pi * 6371.0088
NAMES = {
    ("xyz", "nabirds"): "0.02706033_32_0.0284311_3_1024",
    ("wrap+ffn", "inat2018"): "0.01402766_64_0.0002325_1_256_leakyrelu",
    ("rbf", "inat2017"): "0.0100_64_0.0010000_1_512_500_2.0",
    ("grid", "fmow"): "0.0100_128_0.0200000_360.000_1_512_BATCH8192_leakyrelu",
    ("theory", "inat2017"): "0.0200_64_0.1000000_360.000_1_256_BATCH4096_leakyrelu",
    ("sphereC", "yfcc"): "0.0005_64_0.0001000_1_512",
    ("sphereC+", "birdsnap"): "0.0010_64_0.0001000_1_512",
    ("sphereM", "nabirds"): "0.0010_32_0.0010000_1_512",
    ("sphereM+", "fmow"): "0.00916117_64_0.0662392_1_1024_leakyrelu",
    ("dfs", "nabirds"): "0.0100_8_0.0050000_1.000_3_256_BATCH4096_leakyrelu",
}
"""What checkpoints of TorchSpatial are called: rate, S, r_min, r_max where not 1, layers, units, the rest."""
FEATURES: dict[str, Callable[[int], int]] = {
    "xyz": lambda _: 3,
    "wrap": lambda _: 4,
    "wrap+ffn": lambda _: 4,
    "rbf": lambda m: m,
    "rff": lambda w: w,
    "grid": lambda s: 4 * s,
    "theory": lambda s: 6 * s,
    "NeRF": lambda s: 6 * s,
    "sphereC": lambda s: 3 * s,
    "sphereC+": lambda s: 6 * s,
    "sphereM": lambda s: 5 * s,
    "sphereM+": lambda s: 8 * s,
    "dfs": lambda s: 4 * s**2 + 4 * s,
}
"""Numbers before the network, of S scales, M anchors or W frequencies: the table of docs/location-encoders.md."""
FEWER = {("dfs", "birdsnap"): 5, ("sphereM+", "fmow"): 8, ("dfs", "fmow"): 51}
"""Where fewer odd frequencies than S lie up to 1 / r_min: those up to 9, 15 and 101 close around the Earth."""


@pytest.mark.parametrize(("encoder", "dataset"), NAMES)
def test_numbers_are_those_of_the_checkpoints(encoder: str, dataset: str) -> None:
    """A row of every kind against the file's name, read here in another way than the table was written."""
    best = published(encoder, dataset)
    rate, scales, r_min, *rest = NAMES[encoder, dataset].split("_")
    r_max = float(rest.pop(0)) if "." in rest[0] else 1.0
    assert best.learning_rate == float(rate)
    assert (best.layers, best.hidden) == (int(rest[0]), int(rest[1]))
    assert best.activation == ("leakyrelu" if "leakyrelu" in rest else "relu")
    assert best.batch_size == next((int(one[5:]) for one in rest if one.startswith("BATCH")), 1024)
    if encoder == "rbf":
        assert (best.anchors, best.sigma) == (int(rest[2]), float(rest[3]))
    elif best.scales is not None:
        assert (best.scales, best.r_min, best.r_max) == (int(scales), float(r_min), r_max)


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_preset_builds_both_variants(encoder: str, dataset: str) -> None:
    """The original ones have the dimensions of the founding formulas at the published numbers, ours those of as many
    scales as there are; both have the published network.
    """
    best = published(encoder, dataset)
    told = best.scales or best.anchors or best.frequencies or 0
    ours = 17 if encoder == "NeRF" else FEWER.get((encoder, dataset), told)  # a band more: ours begin lower
    for variant, count in (("original", told), ("corrected", ours)):
        arguments = encoder_options(encoder, dataset, variant)  # type: ignore[arg-type]
        options = arguments.pop("options")
        built = pv.encoders.location(**arguments, **options)
        assert built.positional.dim == FEATURES[encoder](count)
        assert built.features([24.94], [60.17]).shape == (1, FEATURES[encoder](count))
        assert (built.dim, built([24.94], [60.17]).shape) == (256, (1, 256))
        config = built.config()
        assert (config["encoder"], config["variant"], config["dropout"]) == (encoder, variant, 0.5)
        if encoder == "wrap":
            assert (config["network"], config["layers"]) == ("resnet", 4)
        else:
            network = (config["network"], config["hidden"], config["layers"], config["activation"])
            assert network == ("ffn", best.hidden, best.layers, best.activation)


def test_the_largest_dfs() -> None:
    """64 scales cannot all close around the Earth at r_min 0.01: 51 odd frequencies do."""
    original = positional("dfs", "original", **encoder_options("dfs", "fmow", "original")["options"])
    assert original.dim == 4 * 64**2 + 4 * 64
    assert encoder_options("dfs", "fmow")["options"]["scales"] == 51


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("encoder", ["grid", "theory", "sphereC", "sphereC+", "sphereM", "sphereM+", "dfs"])
def test_wavelengths_are_kept(encoder: str, dataset: str) -> None:
    """The finest is 2 pi r degrees of the equator (grid, theory) or 2 pi r radii; ours the next wave that closes."""
    best = published(encoder, dataset)
    assert best.r_min is not None
    in_degrees = encoder in ("grid", "theory")
    wanted = AROUND_KM / 360 * 2 * math.pi * best.r_min if in_degrees else AROUND_KM * best.r_min
    found = {
        variant: [
            length
            for _, length in positional(
                encoder,
                variant,
                **encoder_options(encoder, dataset, variant)["options"],  # type: ignore[arg-type]
            ).scales_km()
        ]
        for variant in ("original", "corrected")
    }
    assert found["original"][0] == pytest.approx(wanted, rel=1e-9)
    assert abs(AROUND_KM / found["corrected"][0] - AROUND_KM / wanted) <= 1 + 1e-9
    assert found["corrected"][-1] == pytest.approx(AROUND_KM)
    assert found["original"][-1] == pytest.approx(2 * math.pi * AROUND_KM if in_degrees else AROUND_KM)


def test_the_other_units_are_kept() -> None:
    """NeRF's bands all occur in ours; the kernel of rff falls to exp(-1/2) where the original's does, on average."""
    theirs, ours = (
        positional("NeRF", variant, **encoder_options("nerf", "fmow", variant)["options"]).scales_km()  # type: ignore[arg-type]
        for variant in ("original", "corrected")
    )
    assert {length for _, length in theirs} <= {length for _, length in ours}
    assert encoder_options("rff", "yfcc")["options"] == {"frequencies": 64, "sigma": math.sqrt(180 * 90)}
    assert encoder_options("rbf", "fmow")["options"] == {"anchors": 200, "sigma": 2.0}


def test_what_is_unknown_is_rejected() -> None:
    assert published("Sphere2Vec-sphereC+", "iNat-2017") is published("spheregrid", "inat2017")
    with pytest.raises(UsageError, match="choose from birdsnap"):
        published("sphereC", "inat2021")
    with pytest.raises(UsageError, match="there is no preset for harmonics"):
        published("sh", "fmow")
    with pytest.raises(ModelError, match="did you mean sphereC"):
        published("sphereD", "fmow")
