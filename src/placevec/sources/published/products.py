"""The published products: their names, their attribution, and which files belong to the same version."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from placevec.errors import SourceError

UNKNOWN = "unknown"
"""Version of files that do not say theirs."""
_YEAR = re.compile(r"(?<!\d)(20[12]\d)(?!\d)")


@dataclass(frozen=True)
class Product:
    """Embeddings that somebody publishes.

    Attributes:
        name: name of the view that its vectors become.
        title: as its publisher calls it.
        license: SPDX identifier, or ``see ADDRESS`` where the publisher states several.
        attribution: the credit that its publisher asks for.
        unit: its vectors have length 1, and so has the mean of several.
    """

    name: str
    title: str
    license: str
    attribution: str
    unit: bool = False


ALPHAEARTH = Product(
    "alphaearth", "AlphaEarth Foundations Satellite Embedding", "CC-BY-4.0",
    "The AlphaEarth Foundations Satellite Embedding dataset is produced by Google and Google DeepMind.", unit=True,
)  # fmt: skip
TESSERA = Product(
    "tessera", "TESSERA embeddings", "see https://github.com/ucam-eo/tessera", "TESSERA, University of Cambridge"
)  # fmt: skip
CLAY = Product("clay", "Clay embeddings", "see https://source.coop/clay", "Clay Foundation")
EARTH_INDEX = Product(
    "earthindex", "Earth Index embeddings", "see https://source.coop/earthgenome/earthindexembeddings", "Earth Genome"
)  # fmt: skip
MAJOR_TOM = Product(
    "majortom", "Major TOM embeddings", "CC-BY-SA-4.0",
    "Major TOM (arXiv 2412.05600); contains modified Copernicus Sentinel data",
)  # fmt: skip
CITYREP = Product("cityrep", "CityRep baseline", "CC-BY-4.0", "CityRep (arXiv 2605.26036)")


@dataclass(frozen=True)
class Edition:
    """What a file is of.

    Attributes:
        product: whose vectors it has.
        dim: their length.
        version: of the model that made them, as far as the file says it.
        year: that they describe, as far as it says it.
    """

    product: Product
    dim: int
    version: str = UNKNOWN
    year: str = ""

    def __str__(self) -> str:
        version = "of an unknown version" if self.version == UNKNOWN else self.version
        return " ".join(one for one in (self.product.title, version, self.year) if one)


def year_in(path: str) -> str:
    """The year that a path or address names, from its end; empty if it names none.

    >>> year_in("annual/2024/36N/xabc-0000000000-0000008192.tiff"), year_in("27WXN_20200101_20231231_v001.gpq")
    ('2024', '')
    """
    for part in reversed(PurePosixPath(path.replace("\\", "/")).parts):
        if found := _YEAR.findall(part):
            return str(found[-1])
    return ""


def year_of_period(name: str) -> str:
    """The year of a file's name with the first day and the last or the next one, as Earth Index has it; else empty.

    >>> year_of_period("35VLG_2024-01-01_2025-01-01"), year_of_period("35VLG_2024-06-01_2025-06-01")
    ('2024', '')
    """
    found = re.search(r"(?<!\d)(20\d\d)-01-01_(20\d\d)-(01-01|12-31)(?!\d)", name)
    if found is None or int(found[2]) != int(found[1]) + (found[3] == "01-01"):
        return ""
    return found[1]


def agreed(editions: Iterable[tuple[object, Edition]], version: str | None = None) -> Edition:
    """The edition that all files are of.

    Args:
        editions: (file, its edition) each.
        version: of the files that do not say theirs.

    Raises:
        SourceError: products, versions, lengths or years differ: vectors of two models cannot be compared, and a place
            has one vector.

    >>> agreed([("a.tiff", Edition(TESSERA, 128, "1.0")), ("b.tiff", Edition(TESSERA, 128, "1.1"))])
    Traceback (most recent call last):
    placevec.errors.SourceError: a.tiff is TESSERA embeddings 1.0, but b.tiff is TESSERA embeddings 1.1: vectors of \
different versions cannot be compared; import them separately
    """
    first: tuple[object, Edition] | None = None
    for path, edition in editions:
        told = edition.version if edition.version != UNKNOWN or version is None else version
        found = Edition(edition.product, edition.dim, told, edition.year)
        if first is None:
            first = path, found
        elif found != first[1]:
            raise SourceError(_differing(first, (path, found)))
    if first is None:
        raise SourceError("no file of published embeddings is given")
    return first[1]


def _differing(first: tuple[object, Edition], other: tuple[object, Edition]) -> str:
    one, two = first[1], other[1]
    told = f"{first[0]} is {one}, but {other[0]} is {two}"
    if UNKNOWN in (one.version, two.version) and one.version != two.version and one.product == two.product:
        return f"{told}: give the version of files that do not state it with --model-version"
    if (one.product, one.version) == (two.product, two.version) and one.dim != two.dim:
        return f"{first[0]} has vectors of {one.dim:,} numbers, but {other[0]} of {two.dim:,}: import them one by one"
    if (one.product, one.version) == (two.product, two.version):
        return f"{told}: choose one year of a folder with --year, or import them separately"
    return f"{told}: vectors of different versions cannot be compared; import them separately"
