"""Ways to color places: by dominant layer, content density, spatial block, cluster, or the user's own columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import InputError
from placevec.explorer.embedded import base64_of
from placevec.geo import Floats, spatial_blocks, to_ecef
from placevec.sources.tables.joins import Join, join_by_id

if TYPE_CHECKING:
    import pandas as pd

LAYER_COLORS = {
    "buildings": "d55a00",
    "roads": "6f6968",
    "water": "00c0e9",
    "landcover": "e2bd4b",
    "natural-features": "009e59",
    "leisure": "90d782",
    "amenities": "c464aa",
    "railways": "583ca4",
    "aeroways": "8192ff",
    "power": "7f196c",
}
"""Colors that are distinct also with protanopia and deuteranopia: at least 20 CIELAB units between any two under the
simulation of Machado et al. (2009), doi:10.1109/TVCG.2009.113."""
COLORS = tuple(
    LAYER_COLORS[name]
    for name in (
        "buildings", "water", "natural-features", "railways", "landcover",
        "amenities", "leisure", "aeroways", "roads", "power",
    )
)  # fmt: skip
"""The same colors in the order in which they are assigned to categories."""
NOT_CONTENT = frozenset({"places", "boundaries"})
"""Layers of administrative areas (whole districts and islands), which say nothing about what is at a place."""
MAX_KINDS = len(COLORS)
MAX_INTEGER_KINDS = 12
IDENTIFYING = frozenset({"place_id", "name", "lon", "lat", "geometry"})
"""Columns that identify places, as in the files of `placevec.embeddings.clustering`; they are not used as colors."""
CLUSTER, CLUSTER_NAME = "cluster", "cluster_name"
"""The columns with cluster numbers, -1 for none, and with their names."""
MAX_LABEL_LENGTH = 200
"""Maximum number of characters of a label."""


@dataclass(frozen=True)
class Coloring:
    """One way to color places, as the page reads it.

    Attributes:
        key: unique name.
        content: JSON for the page: kind, label, codes and categories, or values and their range, or colors.
        values: (N,) category codes, (N,) numbers, or (N, 3) red, green, blue bytes, for static plots.
    """

    key: str
    content: dict[str, Any]
    values: NDArray[Any]


def by_category(
    key: str,
    label: str,
    codes: NDArray[np.integer[Any]],
    kinds: Sequence[tuple[str, str | None]],
    note: str | None = None,
) -> Coloring:
    """Coloring by category: ``codes`` (N,) are indices into ``kinds``, pairs of name and hex color (None: gray).

    >>> coloring = by_category("use", "Land use", np.array([0, 1, 1]), [("park", "009e59"), ("other", None)])
    >>> coloring.content["categories"]
    [{'label': 'park', 'color': '009e59', 'count': 1}, {'label': 'other', 'color': None, 'count': 2}]
    """
    counts = np.bincount(codes, minlength=len(kinds))
    categories = [
        {"label": name[:MAX_LABEL_LENGTH], "color": color, "count": int(n)}
        for (name, color), n in zip(kinds, counts, strict=True)
    ]
    content = {
        "key": key, "label": label, "kind": "category",
        "categories": categories, "codes": base64_of(codes.astype(np.uint16)),
    }  # fmt: skip
    return Coloring(key, content | ({"note": note} if note else {}), codes)


def by_number(
    key: str, label: str, values: NDArray[Any], unit: str = "", note: str | None = None
) -> Coloring:
    """Coloring by number: (N,) values, NaN if missing; the color scale spans the 2nd to the 98th percentile.

    >>> coloring = by_number("rent", "Rent", np.arange(101.0), unit="EUR")
    >>> coloring.content["low"], coloring.content["high"], coloring.content["maximum"]
    (2.0, 98.0, 100.0)
    """
    values = np.asarray(values, np.float64).copy()
    values[~np.isfinite(values)] = np.nan
    known = values[np.isfinite(values)]
    low, high, least, most = (0.0, 0.0, 0.0, 0.0) if not len(known) else (
        *np.percentile(known, (2, 98)).tolist(), float(known.min()), float(known.max()),
    )  # fmt: skip
    if low == high:
        low, high = least, most
    content = {
        "key": key, "label": label, "kind": "number", "unit": unit, "low": low, "high": high,
        "minimum": least, "maximum": most, "values": base64_of(values.astype(np.float32)),
    }  # fmt: skip
    return Coloring(key, content | ({"note": note} if note else {}), values)


def by_rgb(key: str, label: str, rgb: NDArray[np.uint8], axes: Sequence[str], note: str) -> Coloring:
    """Coloring by three components: ``rgb`` (N, 3) bytes, and the component name of each channel.

    >>> by_rgb("rgb", "PCA", np.zeros((2, 3), np.uint8), ["PC 1", "PC 2", "PC 3"], "").content["axes"]
    ['PC 1', 'PC 2', 'PC 3']
    """
    content = {
        "key": key,
        "label": label,
        "kind": "rgb",
        "axes": list(axes),
        "values": base64_of(rgb),
        "note": note,
    }
    return Coloring(key, content, rgb)


def of_layers(layers: Sequence[str], shares: NDArray[np.float32]) -> list[Coloring]:
    """By the layer that covers most of a place, and by total coverage.

    Args:
        layers: (C,) layer names.
        shares: (N, C) share of the place's footprint that each layer covers, 0..1; NaN rows are unknown.

    >>> layer, density = of_layers(["roads", "water"], np.array([[0.1, 0.6], [0.2, 0.0]], np.float32))
    >>> [kind["label"] for kind in layer.content["categories"]], density.values.round(1).tolist()
    (['roads', 'water'], [0.7, 0.2])
    """
    names, content = content_of(layers, shares)
    if not names:
        return []
    inside = np.nan_to_num(content)
    largest = np.where(inside.max(axis=1) > 0, inside.argmax(axis=1), len(names))
    spare = iter([color for color in COLORS if color not in {LAYER_COLORS.get(name) for name in names}])
    kinds = [(name, LAYER_COLORS.get(name) or next(spare, None)) for name in names] + [("nothing", None)]
    codes, kinds = _by_frequency(largest, kinds)
    density = np.where(np.isfinite(shares).all(axis=1), inside.sum(axis=1), np.nan)
    return [
        by_category("layer", "Dominant layer", codes, kinds,
                    "The layer that covers most of the place, except boundaries and places."),
        by_number("density", "Content density", density, "layers", "Average number of layers covering a point."),
    ]  # fmt: skip


def content_of(layers: Sequence[str], shares: NDArray[np.float32]) -> tuple[list[str], NDArray[np.float32]]:
    """The layers, and their (N, C) shares, without those that say nothing about what is at a place.

    >>> content_of(["places", "roads"], np.array([[1.0, 0.25]], np.float32))
    (['roads'], array([[0.25]], dtype=float32))
    """
    kept = [channel for channel, name in enumerate(layers) if name not in NOT_CONTENT]
    return [layers[channel] for channel in kept], shares[:, kept]


def _by_frequency(
    codes: NDArray[np.integer[Any]], kinds: Sequence[tuple[str, str | None]]
) -> tuple[NDArray[np.int64], list[tuple[str, str | None]]]:
    """Categories that occur, most common first and gray ones last, with renumbered codes."""
    counts = np.bincount(codes, minlength=len(kinds))
    present = [code for code in range(len(kinds)) if counts[code]]
    present.sort(key=lambda code: (kinds[code][1] is None, -counts[code]))
    renumbered = np.zeros(len(kinds), np.int64)
    renumbered[present] = np.arange(len(present))
    return renumbered[codes], [kinds[code] for code in present]


# --- spatial blocks ----------------------------------------------------------------------------------------


def of_blocks(lonlat: Floats) -> Coloring | None:
    """By spatial block, about twenty square blocks; None if fewer than two places have coordinates.

    Args:
        lonlat: (N, 2) lon, lat degrees, NaN without coordinates.

    >>> coloring = of_blocks(np.array([[24.9, 60.1], [24.9, 60.1], [25.1, 60.2]]))
    >>> coloring.content["label"], coloring.values.tolist()
    ('Spatial block of 2 km', [1, 1, 0])
    """
    known = np.isfinite(lonlat).all(axis=1)
    if known.sum() < 2:
        return None
    size = _block_size(lonlat[known])
    ids = spatial_blocks(lonlat[known, 0], lonlat[known, 1], size)
    blocks, inside = np.unique(ids, return_inverse=True)
    centers = np.stack([
        np.bincount(inside, lonlat[known, axis]) / np.bincount(inside) for axis in (0, 1)
    ], axis=1)  # fmt: skip
    order = np.lexsort((centers[:, 0], -np.round(centers[:, 1] * 111_000.0 / size)))  # from the north-west
    rank = np.empty(len(blocks), np.int64)
    rank[order] = np.arange(len(blocks))
    colors = _contrasting(centers[order], size)
    codes = np.full(len(lonlat), len(blocks), np.int64)
    codes[known] = rank[inside]
    kinds: list[tuple[str, str | None]] = [
        (f"block {number + 1}", COLORS[c]) for number, c in enumerate(colors)
    ]
    if not known.all():
        kinds.append(("no coordinates", None))
    length = f"{size:g} m" if size < 1000 else f"{size / 1000:g} km"
    return by_category("block", f"Spatial block of {length}", codes, kinds)


def _block_size(lonlat: Floats) -> float:
    """A round block size in meters that gives about twenty blocks where places are."""
    ecef = to_ecef(lonlat[:, 0], lonlat[:, 1])
    low, high = np.percentile(ecef, (1, 99), axis=0)
    spread = np.sort(high - low)[::-1]
    rough = math.sqrt(max(spread[0] * spread[1], spread[0] ** 2 / 20.0, 1.0) / 20.0)
    power = 10.0 ** math.floor(math.log10(rough))
    return float(min((1, 2, 5, 10), key=lambda digit: abs(math.log(digit * power / rough))) * power)


def _contrasting(centers: Floats, size: float) -> list[int]:
    """A color for each block that differs from those of neighboring blocks, if there are enough colors."""
    ecef = to_ecef(centers[:, 0], centers[:, 1])
    chosen: list[int] = []
    for number in range(len(centers)):
        near = np.linalg.norm(ecef[:number] - ecef[number], axis=1) < 2.2 * size
        taken = {chosen[other] for other in np.flatnonzero(near)}
        usage = [(color in taken, chosen.count(color), color) for color in range(len(COLORS))]
        chosen.append(min(usage)[2])
    return chosen


# --- clusters ------------------------------------------------------------------------------------------------


def of_clusters(
    label: NDArray[np.int64], name: str = "Cluster", note: str | None = None, names: Sequence[str] = ()
) -> Coloring:
    """By cluster: ``label`` (N,) from 0; negative for places in no cluster, which are gray and listed last.

    ``names`` are those of the clusters by number, "cluster N" where there is none. Clusters 11 to 20 have darker colors
    and 21 to 30 lighter ones; beyond that, colors repeat.

    >>> [kind["label"] for kind in of_clusters(np.array([0, 0, 1, -1])).content["categories"]]
    ['cluster 0', 'cluster 1', 'in no cluster']
    """
    numbers = np.unique(label[label >= 0])
    codes = np.where(label < 0, len(numbers), np.searchsorted(numbers, label))
    kinds: list[tuple[str, str | None]] = [
        (_cluster(number, names), _shade(COLORS[at % len(COLORS)], at // len(COLORS)))
        for at, number in enumerate(numbers.tolist())
    ]
    if (label < 0).any():
        kinds.append(("in no cluster", None))
    return by_category("cluster", name, codes.astype(np.int64), kinds, note)


def _cluster(number: int, names: Sequence[str]) -> str:
    """The name of a cluster in the legend."""
    return names[number] if number < len(names) and names[number] else f"cluster {number}"


def _shade(color: str, turn: int) -> str:
    """A color unchanged, 40% darker or 50% lighter, in turn."""
    towards, share = ((0, 0.0), (0, 0.4), (255, 0.5))[turn % 3]
    parts = (int(color[at : at + 2], 16) for at in (0, 2, 4))
    return "".join(f"{round(part + (towards - part) * share):02x}" for part in parts)


# --- the user's columns ------------------------------------------------------------------------------------


def of_columns(columns: pd.DataFrame, place_id: NDArray[Any], rows: NDArray[np.int64]) -> list[Coloring]:
    """One coloring per column.

    Args:
        columns: either one row per place, in the order of ``place_id``, or any rows with a column ``place_id`` (the
            first row of each place is used).
        place_id: (M,) ids of all places.
        rows: (N,) the places that are drawn.

    Raises:
        InputError: the columns do not match the places.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"place_id": ["b", "a"], "kind": ["park", "shop"]})
    >>> of_columns(table, np.array(["a", "b"]), np.array([0, 1]))[0].content["label"]
    'kind'
    """
    if "place_id" in columns.columns:
        keyed = columns.assign(place_id=columns["place_id"].astype(str)).drop_duplicates("place_id")
        join_of(columns, place_id).check(InputError)
        keyed = keyed.set_index("place_id")
        matched = keyed.reindex([str(one) for one in place_id[rows]])
    elif len(columns) == len(place_id):
        matched = columns.iloc[rows]
    else:
        raise InputError(
            f"the columns to color by have {len(columns)} rows for {len(place_id)} places, and no column place_id"
        )
    return [
        _of_column(number, str(name), matched.iloc[:, number])
        for number, name in enumerate(matched.columns)
        if name not in IDENTIFYING
    ]


def join_of(columns: pd.DataFrame, place_id: NDArray[Any]) -> Join:
    """What the rows of a table with a column ``place_id`` meet among the ids of all places."""
    ids = columns["place_id"].astype(str).to_numpy(object)
    return join_by_id(ids, np.array([str(one) for one in place_id], object), "the columns to color by")[1]


def _of_column(number: int, name: str, column: pd.Series[Any]) -> Coloring:
    import pandas as pd

    label = name[:MAX_LABEL_LENGTH]
    if name == CLUSTER and (numbers := cluster_numbers(column)) is not None:
        return of_clusters(numbers)
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if numeric and (not _whole(column) or column.nunique() > MAX_INTEGER_KINDS):
        return by_number(f"column-{number}", label, column.to_numpy(np.float64, na_value=np.nan))
    missing = column.isna().to_numpy(bool)
    text = np.array([_text(value) for value in column], object)
    names, codes = np.unique(text[~missing].astype(str), return_inverse=True)
    counts = np.bincount(codes, minlength=len(names))
    order = np.argsort(-counts, kind="stable")
    kept = order[: MAX_KINDS if len(names) <= MAX_KINDS else MAX_KINDS - 1]
    place = np.full(len(names), len(kept), np.int64)
    place[kept] = np.arange(len(kept))
    kinds: list[tuple[str, str | None]] = [(str(names[k]), COLORS[i]) for i, k in enumerate(kept)]
    if len(kept) < len(names):
        kinds.append((f"other ({len(names) - len(kept)} categories)", None))
    all_codes = np.full(len(column), len(kinds), np.int64)
    all_codes[~missing] = place[codes]
    if missing.any():
        kinds.append(("no value", None))
    return by_category(f"column-{number}", label, all_codes, kinds)


def cluster_numbers(column: pd.Series[Any]) -> NDArray[np.int64] | None:
    """(N,) cluster numbers, -1 if missing; None if the column contains anything else.

    >>> import pandas as pd
    >>> cluster_numbers(pd.Series([0.0, 2.0, None])).tolist()
    [0, 2, -1]
    """
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(column) or not _whole(column):
        return None
    values = np.nan_to_num(column.to_numpy(np.float64, na_value=np.nan), nan=-1.0, posinf=-1.0, neginf=-1.0)
    return np.asarray(values.clip(-1, 2**31), np.int64)


def _whole(column: pd.Series[Any]) -> bool:
    values = column.to_numpy(np.float64, na_value=np.nan)
    values = values[np.isfinite(values)]
    return bool(len(values)) and bool((values == np.round(values)).all())


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def of_nothing(count: int) -> Coloring:
    """All places in one color, if there is nothing to color by.

    >>> of_nothing(3).content["categories"][0]["count"]
    3
    """
    return by_category("all", "Nothing", np.zeros(count, np.int64), [("all places", COLORS[0])])
