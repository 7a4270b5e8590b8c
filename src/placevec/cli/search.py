"""``placevec search``: the places most like a place."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import typer

from placevec.cli.output import JSON, print_json, print_table, say
from placevec.errors import UsageError

NAME = "search"
HELP = """Find the places most like a given one.

Name the query by coordinates, place id, tile or name. Coordinates that are no place of the table are embedded
afresh when the dataset and the run still lie where the table says; else the nearest place answers, and is named.

Examples:

  placevec search malta.parquet --lon 14.51 --lat 35.90 -k 20

  placevec search malta.parquet --tile 17/70818/51558 --metric euclidean --csv like-it.csv
"""


def command(
    embeddings: Path = typer.Argument(..., help="Table of vectors."),
    lon: float | None = typer.Option(None, help="Longitude of the query, degrees."),
    lat: float | None = typer.Option(None, help="Latitude of the query, degrees."),
    place: str | None = typer.Option(None, help="place_id of the query."),
    tile: str | None = typer.Option(None, help="Tile of the query, z/x/y."),
    name: str | None = typer.Option(None, help="Name of the query, or the beginning of one."),
    k: int = typer.Option(10, "-k", "--k", min=1, help="How many places to find."),
    metric: Literal["cosine", "euclidean", "manhattan", "dot"] = typer.Option(
        "cosine", help="How vectors are compared."
    ),
    bbox: str | None = typer.Option(None, help="Only places in west,south,east,north."),
    min_distance: float = typer.Option(0.0, help="Only places at least so many metres from the query."),
    dataset: Path | None = typer.Option(None, help="Dataset to embed the query from, if it has moved."),
    run: Path | None = typer.Option(None, help="Run to embed the query with, if it has moved."),
    csv: Path | None = typer.Option(None, help="Also write the result as CSV."),
    as_json: bool = JSON,
) -> None:
    """Call `placevec.api.similar` and print the ranking."""
    from placevec import api
    from placevec.io import atomic

    if (lon is None) != (lat is None):
        raise UsageError("a point needs both --lon and --lat")
    if sum(query is not None for query in (lon, place, tile, name)) != 1:
        raise UsageError("name one query: --lon and --lat, --place, --tile or --name")
    if csv is not None:
        atomic.check_writable(csv)
    found = api.similar(
        embeddings, lon=lon, lat=lat, place=place, tile=tile, name=name, k=k, metric=metric, bbox=bbox,
        min_distance_m=min_distance, dataset=dataset, model=run,
    )  # fmt: skip
    query = found.attrs["query"]
    columns = ["rank", "place_id", "name", "lon", "lat", query["measure"]]
    rows = plain_rows(found[columns])
    if csv is not None:
        atomic.write_csv(csv, columns, rows)
    if as_json:
        print_json(
            {
                "query": query,
                "metric": metric,
                "results": [dict(zip(columns, row, strict=True)) for row in rows],
            }
        )
        return
    say(described(query))
    print_table(columns, rows)


def plain_rows(found: Any) -> list[list[Any]]:
    """Rows of a result, with an empty text where there is none."""
    return [
        ["" if cell is None or cell != cell else cell for cell in row]
        for row in found.itertuples(index=False)
    ]


def described(query: dict[str, object]) -> str:
    """What was searched for, in words."""
    from placevec.cli.output import clean

    if query.get("embedded_afresh"):
        return f"Places like lon={query['lon']}, lat={query['lat']} (embedded afresh)"
    named = f" ({clean(query['name'])})" if query.get("name") else ""
    asked = f"Places like {clean(query['place_id'])}{named}"
    away = query.get("distance_m")
    if not isinstance(away, float) or away < 0.5:
        return asked
    hint = (
        "a --lon and --lat in the dataset's area are embedded themselves where dataset and run are at hand "
        "(--dataset, --run)"
    )
    return f"{asked}, the place nearest to the point, {away:.0f} m away; {hint}"
