"""Coordinates however people hold them: tables by the names of their columns, arrays by a stated order."""

from __future__ import annotations

import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import torch

import placevec as pv
from placevec.encoders.locations.inputs import degrees
from placevec.errors import InputError
from placevec.sources.land import warn_if_swapped
from placevec.sources.tables.labeled_points import PointTable

LON, LAT = [24.94, -170.7], [60.17, -14.3]


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"lat": LAT, "lon": LON}),
        pd.DataFrame({"Latitude": LAT, "rent": [1, 2], "Longitude": LON}),
        pd.DataFrame({"decimalLatitude": LAT, "decimalLongitude": LON}),
        pd.DataFrame({"lat": [None, None], "lon": [None, None], "latitude": LAT, "longitude": LON}),
        pd.DataFrame({"y": LAT, "x": LON}),
        gpd.GeoDataFrame({"lat": LON, "lon": LAT}, geometry=gpd.points_from_xy(LON, LAT), crs=4326).to_crs(
            3857
        ),
    ],
    ids=["lat first", "long names", "Darwin Core", "an empty pair", "x and y", "geometry before columns"],
)
def test_tables_are_read_by_name(table: pd.DataFrame) -> None:
    """Oracle: the columns themselves, whatever their order."""
    lon, lat = degrees(table)
    np.testing.assert_allclose(lon, LON, atol=1e-9)
    np.testing.assert_allclose(lat, LAT, atol=1e-9)


def test_two_pairs_that_contradict_are_told(tmp_path: Path) -> None:
    """In a DataFrame as a warning, of a file as a note; pairs that are only rounded are not."""
    table = pd.DataFrame({"lat": LAT, "lon": LON, "longitude": [24.94, 10.0], "latitude": LAT})
    with pytest.warns(
        UserWarning, match="lon, lat and longitude, latitude differ in 1 of 2 rows: lon, lat are read"
    ):
        lon, _ = degrees(table)
    np.testing.assert_allclose(lon, LON)
    table.to_csv(tmp_path / "p.csv", index=False)
    assert any("differ in 1 of 2 rows" in note for note in PointTable(tmp_path / "p.csv", {}).notes)
    rounded = table.assign(longitude=np.round(np.array(LON) % 360, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        degrees(rounded)


def test_arrays_have_an_order() -> None:
    """Rows of lat, lon are read where that is said, and an order is refused where names decide."""
    rows = np.c_[LAT, LON]
    torch.testing.assert_close(degrees(rows, order="latlon"), degrees(LON, LAT))
    with pytest.raises(InputError, match="order='latlon' reads rows of lat, lon"):
        degrees(np.array([[60.0, 120.0]]))
    with pytest.raises(InputError, match="order is only for arrays"):
        degrees(pd.DataFrame({"lat": LAT, "lon": LON}), order="latlon")
    with pytest.raises(InputError, match="must be lonlat or latlon"):
        degrees(rows, order="latlng")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="columns named lon and lat; its columns are: a, b"):
        degrees(pd.DataFrame({"a": LON, "b": LAT}))


def test_vectors_for_plain_use() -> None:
    """`encode` leaves out dropout and gradients, keeps the mode, and a seed gives the same encoder again."""
    encoder = pv.encoders.location("sphereC+", dim=8, hidden=16, scales=4, seed=3)
    found = encoder.encode(np.c_[LAT, LON], order="latlon", batch_size=1)
    assert found.dtype == np.float32
    assert encoder.training
    np.testing.assert_allclose(found, encoder.encode(LON, LAT), atol=1e-6)
    np.testing.assert_allclose(found, encoder.eval()(LON, LAT).detach(), atol=1e-6)
    before = torch.random.get_rng_state()
    again = pv.encoders.location("sphereC+", dim=8, hidden=16, scales=4, seed=3)
    torch.testing.assert_close(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(again.encode(LON, LAT), encoder.encode(LON, LAT))


def test_compile_and_vmap_with_dropout() -> None:
    """The training mode of a new encoder, dropout included, goes through torch's transforms."""
    torch._dynamo.reset()
    encoder = pv.encoders.location("sphereC+", dim=64, hidden=64, scales=3)
    lonlat = torch.tensor(np.c_[LON, LAT])
    compiled = torch.compile(encoder, backend="aot_eager", fullgraph=True)
    assert compiled(lonlat).shape == (2, 64)
    assert not torch.equal(compiled(lonlat), compiled(lonlat))
    each = torch.func.vmap(encoder.unchecked, randomness="different")(lonlat.expand(3, 2, 2))
    assert each.shape == (3, 2, 64)
    assert not torch.equal(each[0], each[1])


def test_a_sea_of_swapped_points_is_noted() -> None:
    """Twenty places in England lie off Somalia with the columns swapped. Ships in the Gulf of Guinea stay silent."""
    lonlat = np.random.default_rng(0).uniform([-2, 51.5], [0, 53.5], (20, 2))
    with pytest.warns(UserWarning, match="pass order='latlon'"):
        warn_if_swapped(lonlat[:, ::-1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_swapped(lonlat)
        warn_if_swapped(lonlat[:3, ::-1])
        warn_if_swapped(np.random.default_rng(0).uniform([-5, -5], [5, 0], (20, 2)))
