"""``placevec search``: the places most like a place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from placevec.cli.output import clean, plain_rows, print_json, print_table, say
from placevec.cli.signature import Json, at_least
from placevec.errors import UsageError

HELP = """\
Name the query by coordinates, place id, tile or name. Coordinates that are no place of the table are
embedded afresh when the dataset and the run still lie where the table says; else the nearest place answers,
and is named.

For example:

  placevec search malta.parquet --lon 14.51 --lat 35.90 -k 20

  placevec search malta.parquet --tile 17/70818/51558 --metric euclidean --csv like-it.csv"""


def command(
    embeddings: Path,
    /,
    *,
    view: str | None = None,
    lon: float | None = None,
    lat: float | None = None,
    place: str | None = None,
    tile: str | None = None,
    name: str | None = None,
    k: Annotated[int, Parameter(name=("--k", "-k"), validator=at_least(1))] = 10,
    metric: Literal["cosine", "euclidean", "manhattan", "dot"] = "cosine",
    bbox: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    min_distance_m: float | None = None,
    dataset: Path | None = None,
    run: Path | None = None,
    csv: Path | None = None,
    as_json: Json = False,
) -> None:
    """Call `placevec.api.similar` and print the ranking.

    Args:
        embeddings: Table of vectors.
        view: View whose vectors are searched, where the table holds several (default: the fused ones).
        lon: Longitude of the query, degrees.
        lat: Latitude of the query, degrees.
        place: place_id of the query.
        tile: Tile of the query, z/x/y.
        name: Name of the query, or the beginning of one.
        k: Number of places to find.
        metric: Distance between vectors.
        bbox: Only places in west,south,east,north, degrees.
        min_distance_m: Minimum distance of results from the query and from one another, meters (default: about the ground
            that the model looks at; 0 takes all).
        dataset: Dataset to embed the query from, if it has moved.
        run: Run to embed the query with, if it has moved.
        csv: CSV file to write the result to as well.
    """
    from placevec import api
    from placevec.io import atomic

    if (lon is None) != (lat is None):
        raise UsageError("a point needs both --lon and --lat")
    if sum(query is not None for query in (lon, place, tile, name)) != 1:
        raise UsageError("name one query: --lon and --lat, --place, --tile or --name")
    if csv is not None:
        atomic.check_writable(csv)
    found = api.similar(
        embeddings, view=view, lon=lon, lat=lat, place=place, tile=tile, name=name, k=k, metric=metric, bbox=bbox,
        min_distance_m=min_distance_m, dataset=dataset, model=run,
    )  # fmt: skip
    query = found.attrs["query"]
    columns = ["rank", "place_id", "name", "label", "lon", "lat", query["measure"]]
    rows = plain_rows(found[columns])
    if csv is not None:
        atomic.write_csv(csv, columns, rows)
    if as_json:
        print_json(
            {
                "query": query,
                "metric": metric,
                "notes": found.attrs["notes"],
                "results": [dict(zip(columns, row, strict=True)) for row in rows],
            }
        )
        return
    say(described(query))
    shown = [column for column in columns if column != "name"]
    print_table(shown, plain_rows(found[shown]))
    for note in found.attrs["notes"]:
        say(f"Note: {clean(note, width=500)}")


def described(query: dict[str, object]) -> str:
    """What was searched for, in words."""
    from placevec.core import FUSED

    by = ", by the vectors that fuse all views" if query.get("view") == FUSED else ""
    if query.get("embedded_afresh"):
        return f"Places like lon={query['lon']}, lat={query['lat']} (embedded afresh){by}"
    name = query.get("name")
    named = f" ({clean(name)})" if name and name != query["place_id"] else ""
    asked = f"Places like {clean(query['place_id'])}{named}{by}"
    away = query.get("distance_m")
    if not isinstance(away, float) or away < 0.5:
        return asked
    hint = (
        "a --lon and --lat in the dataset's area are embedded themselves where dataset and run are at hand "
        "(--dataset, --run)"
    )
    return f"{asked}, the place nearest to the point, {away:.0f} m away; {hint}"
