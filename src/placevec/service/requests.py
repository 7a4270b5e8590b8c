"""What may be asked, as pydantic reads it: the checks and the OpenAPI description come from these models.

Coordinates are named, in degrees. Numbers must be finite, names known, and every list has a largest length.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from placevec.errors import UsageError
from placevec.explorer.words import MAX_LENGTH
from placevec.options.choices import Metric

MAX_TEXTS = 256
MAX_DIM = 65_536
_MANY = 8_192

Lon = Annotated[
    float, Field(ge=-180, le=180, allow_inf_nan=False, description="Longitude, degrees", examples=[24.94])
]
Lat = Annotated[
    float, Field(ge=-90, le=90, allow_inf_nan=False, description="Latitude, degrees", examples=[60.17])
]
Year = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, description="Fraction of the year, 0 to 1")]
Date = Annotated[
    str,
    Field(min_length=1, max_length=60, description="Date and time, in UTC unless it names another zone",
          examples=["2018-06-03T14:00"]),
]  # fmt: skip
PlaceId = Annotated[str, Field(min_length=1, max_length=500)]
Words = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH, pattern=r"\S")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Condition = Annotated[str, Field(min_length=1, max_length=500)]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e30, le=1e30)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Point(_Asked):
    """A point on Earth.

    >>> Point(lon=24.94, lat=60.17).lat
    60.17
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    lon: Lon
    lat: Lat
    year: Year | None = None
    date: Date | None = None


class EmbedRequest(_Asked):
    """What to embed: points, places by their IDs, or texts; exactly one of them."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["points"]}, {"required": ["places"]}, {"required": ["texts"]}]
        }
    )
    points: Annotated[list[Point], Field(min_length=1, max_length=_MANY)] | None = None
    places: Annotated[list[PlaceId], Field(min_length=1, max_length=_MANY)] | None = None
    texts: Annotated[list[Words], Field(min_length=1, max_length=MAX_TEXTS)] | None = None
    view: Annotated[Name | None, Field(description="View of the vectors, if the model has several")] = None

    @model_validator(mode="after")
    def _one(self) -> EmbedRequest:
        if sum(one is not None for one in (self.points, self.places, self.texts)) != 1:
            raise ValueError("give exactly one of: points, places, texts")
        return self


class Embedded(BaseModel):
    """Vectors, one per point, place, text or image; null where there is nothing to embed."""

    model: str
    view: str
    dim: int
    vectors: list[list[float] | None]
    attribution: str


class SimilarQuery(_Asked):
    """A search. Exactly one query: place, lon and lat, tile, name, text, or like (with unlike)."""

    table: Annotated[Name | None, Field(description="Name of the file of vectors, without its extension")] = (
        None
    )
    view: Annotated[Name | None, Field(description="View whose vectors are searched")] = None
    place: PlaceId | None = None
    lon: Lon | None = None
    lat: Lat | None = None
    tile: Annotated[str | None, Field(max_length=60, pattern=r"^\d+/\d+/\d+$", description="z/x/y")] = None
    name: Words | None = None
    text: Words | None = None
    like: Annotated[list[PlaceId], Field(max_length=1_000)] = []
    unlike: Annotated[list[PlaceId], Field(max_length=1_000)] = []
    k: Annotated[int, Field(ge=1, le=10_000, description="Number of results")] = 10
    threshold: Annotated[Number | None, Field(description="Maximum distance of a result")] = None
    metric: Annotated[Metric | None, Field(description="Distance between vectors")] = None
    bbox: Annotated[
        str | None, Field(max_length=200, description="west,south,east,north in degrees", examples=["24.9,60.1,25,60.2"])
    ] = None  # fmt: skip
    filters: Annotated[
        list[Condition], Field(max_length=20, description="Conditions on columns, such as name~park")
    ] = []
    min_distance_m: Annotated[
        float | None,
        Field(ge=0, le=1e7, allow_inf_nan=False, description="Minimum distance between results, meters"),
    ] = None
    quality: Annotated[
        int | None, Field(ge=-1, le=1_000_000, description="Number of candidates that the index examines")
    ] = None
    exact: Annotated[bool, Field(description="Compare all vectors, whatever the index")] = False
    z: Annotated[bool, Field(description="Say how far each result stands out from all places")] = False


class SimilarBody(SimilarQuery):
    """A search; in addition by a vector, and within polygons."""

    model_config = ConfigDict(extra="forbid", strict=True)
    vector: Annotated[list[Number], Field(min_length=1, max_length=MAX_DIM)] | None = None
    within: Annotated[
        dict[str, Any] | None, Field(description="GeoJSON Polygon or MultiPolygon in degrees")
    ] = None


def the_query(asked: SimilarQuery) -> str:
    """What a search is by: ``place``, ``lon``, ``tile``, ``name``, ``text``, ``like`` or ``vector``.

    >>> the_query(SimilarQuery(place="a"))
    'place'
    """
    if (asked.lon is None) != (asked.lat is None):
        raise UsageError("a point needs both lon and lat, in degrees")
    given = [one for one in ("place", "lon", "tile", "name", "text") if getattr(asked, one) is not None]
    given += ["like"] if asked.like or asked.unlike else []
    given += ["vector"] if isinstance(asked, SimilarBody) and asked.vector is not None else []
    if len(given) != 1:
        raise UsageError("give exactly one query: place, lon and lat, tile, name, text, like or vector")
    return given[0]


class Problem(BaseModel):
    """What is wrong with a request, in one line."""

    error: str


class Health(BaseModel):
    """Whether the service answers, and from what."""

    status: Literal["ok"]
    version: str
    model: str
    views: dict[str, int]
    tables: list[dict[str, Any]]
    words: bool
    attribution: str
    problem: str


class UploadQuery(BaseModel):
    """How an upload is read."""

    model_config = ConfigDict(extra="forbid")
    view: Annotated[str | None, Field(max_length=200, description="View of an image or of points")] = None
