"""Clouds in a chip: by the scene classification of Sentinel-2, or else by a model.

The model is one of the U-Nets that the package ukis-csmask carries (Apache-2.0), run by onnxruntime: four bands, or
six with the shortwave infrared, of L1C or L2A. It sees whole squares of 256 px; a smaller chip is mirrored at its edges.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import InputError, MissingExtraError

CLOUDY = (3, 8, 9, 10)
"""Classes of SCL: cloud shadow, cloud of medium and high probability, thin cirrus."""
NO_DATA = 0
MODEL = "ukis-csmask"
FOUR, SIX = ("B02", "B03", "B04", "B08"), ("B02", "B03", "B04", "B08", "B11", "B12")
"""Bands that a model reads, in its order."""
_SIDE = 256


def cloudy_classes(classes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(H, W) where a scene classification says cloud or shadow.

    >>> cloudy_classes(np.array([[4.0, 9.0], [3.0, np.nan]], np.float32)).tolist()
    [[False, True], [True, False]]
    """
    return np.isin(np.nan_to_num(classes, nan=NO_DATA).astype(np.int64), CLOUDY)


def has_model() -> bool:
    """Whether the cloud model is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("ukis_csmask", "onnxruntime"))


def cloudy_pixels(
    pixels: NDArray[np.uint16], bands: tuple[str, ...], product: str = "l2a"
) -> NDArray[np.bool_]:
    """(H, W) where the model sees cloud or shadow.

    Args:
        pixels: (C, H, W) reflectance x 10,000; 0 is no data.
        bands: (C,) their names.
        product: ``l1c`` or ``l2a``.

    Raises:
        MissingExtraError: the model is not installed.
        InputError: a band that it needs is missing.
    """
    wanted = SIX if all(band in bands for band in SIX) else FOUR
    if missing := [band for band in wanted if band not in bands]:
        raise InputError(f"the cloud model needs {', '.join(FOUR)}; {missing[0]} is missing")
    if not has_model():
        raise MissingExtraError(f"the cloud model {MODEL}", "clouds")
    session, mean, deviation = _model(len(wanted), product)
    image = pixels[[bands.index(band) for band in wanted]].astype(np.float32) / 10_000.0
    high, wide = image.shape[1:]
    found = np.zeros((high, wide), bool)
    normal = (image - mean[:, None, None]) / deviation[:, None, None]
    for top in range(0, high, _SIDE):
        for left in range(0, wide, _SIDE):
            part = normal[:, top : top + _SIDE, left : left + _SIDE]
            rows, columns = part.shape[1:]
            square = np.pad(part, ((0, 0), (0, _SIDE - rows), (0, _SIDE - columns)), mode="symmetric")
            logits = session.run(None, {session.get_inputs()[0].name: square[None]})[0]
            found[top : top + rows, left : left + columns] = (logits[0].argmax(0) > 0)[:rows, :columns]
    return found


@functools.lru_cache(maxsize=4)
def _model(count: int, product: str) -> tuple[Any, NDArray[np.float32], NDArray[np.float32]]:
    """(session, mean and deviation of the bands)."""
    import onnxruntime
    import ukis_csmask  # carries the weights; its own code would load them again for every chip

    path = Path(ukis_csmask.__file__).parent / f"model_{count}b_{product or 'l2a'}.onnx"
    about = json.loads(path.with_suffix(".json").read_text("utf-8"))["data"]["dataset_statistics"]
    named = ["blue", "green", "red", "nir", "swir16", "swir22"][:count]
    order = [about["band_names"].index(name) for name in named]
    if order != list(range(count)):
        raise InputError(
            f"the cloud model in {path} has its bands in another order: {', '.join(about['band_names'])}"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )
    mean, deviation = (np.asarray(values, np.float32) for values in about["img"])
    return session, mean, deviation
