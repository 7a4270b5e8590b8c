"""Cells as degrees. Oracles: sums of degrees, minutes / 60 and seconds / 3600."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from placevec.errors import SourceError
from placevec.sources.tables.degrees import degrees

HELSINKI = 24 + 56 / 60 + 24 / 3600


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("24.94", 24.94),
        (" 24.94 ", 24.94),
        ("+24.94", 24.94),
        ("24,94", 24.94),
        ("-24,94", -24.94),
        ("\u221224.94", -24.94),  # a minus sign
        ("24.94E", 24.94),
        ("24.94 W", -24.94),
        ("e24.94", 24.94),
        ("24.94\u00b0", 24.94),
        ("24.94\u00b0 E", 24.94),
        ("24\u00b056'24\"E", HELSINKI),
        ("24\u00b0 56\u2032 24\u2033 W", -HELSINKI),
        ("24\u00ba56\u201924\u201dE", HELSINKI),
        ("24\u00b056''", np.nan),
        ("W 24\u00b056'24.0\"", -HELSINKI),
        ("24 56 24", HELSINKI),
        ("-24 56 24", -HELSINKI),
        ("24:56:24", HELSINKI),
        ("24d56m24E", HELSINKI),
        ("24 deg 56 min 24 sec E", HELSINKI),
        ("24\u00b056,4'E", HELSINKI),
        ("24\u00a056.4 E", HELSINKI),
        ("0\u00b030'W", -0.5),
        ("-0\u00b030'", -0.5),
        ("24\u00b060'00\"E", np.nan),
        ("24\u00b056'61\"E", np.nan),
        ("24.5\u00b056'E", np.nan),
        ("-24.94W", np.nan),
        ("E24.94W", np.nan),
        ("24.94O", np.nan),  # Ost, ouest or oeste
        ("24.9.4", np.nan),
        ("1,024.5", np.nan),
        ("24.94;", np.nan),
        ("east", np.nan),
    ],
)
def test_forms(cell: str, value: float) -> None:
    values, wrong = degrees(pa.array([cell, "1.5", None]), "lon", "column")
    np.testing.assert_allclose(values, [value, 1.5, np.nan], rtol=0, atol=1e-12)
    assert wrong.tolist() == [bool(np.isnan(value)), False, False]


def test_the_letters_of_the_other_axis_are_reported() -> None:
    with pytest.raises(
        SourceError, match=r"a\.csv, column 'y', row 13: '24\.94E' is a longitude.*--lon and --lat"
    ):
        degrees(pa.array(["60.17", "60,17N", "24.94E"]), "lat", "a.csv, column 'y',", 10)


def test_numbers_stay() -> None:
    values, wrong = degrees(pa.array([1.0, None, np.inf]), "lon", "column")
    assert values.tolist()[::2] == [1.0, np.inf]
    assert not wrong.any()
