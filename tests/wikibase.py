"""A Wikibase on loopback that speaks ``wbgetentities`` and ``wbsearchentities``, well or as a test wants; and its dump.

Shapes are those of Wikidata: terms by language, statements with snaks and ranks, empty documents as empty lists,
redirects under the number that was asked for, and errors with status 200.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.tile_servers import Reply

CONTACT = "maps@example.org"
Asked = dict[str, str]


def entity(
    qid: str,
    labels: Mapping[str, str] | None = None,
    *,
    aliases: Mapping[str, Sequence[str]] | None = None,
    descriptions: Mapping[str, str] | None = None,
    types: Sequence[str] = (),
    lonlat: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """An item as Wikidata serializes it."""

    def terms(some: Mapping[str, str] | None) -> Any:
        return {code: {"language": code, "value": text} for code, text in (some or {}).items()} or []

    claims = {}
    if types:
        claims["P31"] = [
            statement({"entity-type": "item", "numeric-id": int(one[1:]), "id": one}, "wikibase-entityid")
            for one in types
        ]
    if lonlat:
        globe = "http://www.wikidata.org/entity/Q2"
        value = {
            "latitude": lonlat[1],
            "longitude": lonlat[0],
            "altitude": None,
            "precision": 1e-4,
            "globe": globe,
        }
        claims["P625"] = [statement(value, "globecoordinate")]
    return {
        "type": "item",
        "id": qid,
        "labels": terms(labels),
        "descriptions": terms(descriptions),
        "aliases": {
            code: [{"language": code, "value": text} for text in some]
            for code, some in (aliases or {}).items()
        }
        or [],
        "claims": claims or [],
    }


def statement(value: Any, kind: str, rank: str = "normal") -> dict[str, Any]:
    """A statement with a value."""
    snak = {"snaktype": "value", "datavalue": {"value": value, "type": kind}}
    return {"mainsnak": snak, "type": "statement", "rank": rank}


SMALL = (
    entity(
        "Q1757", {"fi": "Helsinki", "sv": "Helsingfors", "uk": "Гельсінкі", "ar": "هلسنكي", "mul": "Helsinki"},
        aliases={"fi": ["Stadi", "Hesa"], "uk": ["Хельсінкі"]},
        descriptions={"en": "capital of Finland", "uk": "столиця Фінляндії"}, types=["Q515"], lonlat=(24.94, 60.17),
    ),
    entity("Q9", {"en": "Old Park", "de": "Alter Park", "ja": "旧公園"}, types=["Q22698"], lonlat=(10.002, 50.002)),
    entity("Q515", {"en": "city", "fi": "kaupunki", "uk": "місто"}),
    entity("Q22698", {"en": "park", "de": "Park", "fi": "puisto"}),
    entity("Q77", {"de": "Brot", "en": "Bread shop"}, aliases={"de": ["Bäckerei Brot"]}, lonlat=(10.0201, 50.0201)),
)  # fmt: skip


class Wikibase:
    """A server; ``asked`` lists its requests, ``answering`` overrides what it answers by returning a `Reply`."""

    def __init__(
        self,
        entities: Sequence[dict[str, Any]] = SMALL,
        redirects: Mapping[str, str] | None = None,
        answering: Callable[[Asked, int], Reply | None] = lambda asked, number: None,
    ) -> None:
        self.entities = {one["id"]: one for one in entities}
        self.redirects, self.answering = dict(redirects or {}), answering
        self.asked: list[Asked] = []
        self.agents: list[str] = []
        own = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                with contextlib.suppress(OSError):
                    own._reply(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/w/api.php"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def ids(self) -> list[list[str]]:
        """The items of each request."""
        return [asked["ids"].split("|") for asked in self.asked if "ids" in asked]

    def _reply(self, handler: BaseHTTPRequestHandler) -> None:
        query = parse_qs(urlsplit(handler.path).query)
        asked = {name: values[0] for name, values in query.items()}
        self.asked.append(asked)
        self.agents.append(handler.headers["User-Agent"])
        reply = self.answering(asked, len(self.asked)) or as_json(self._found(asked))
        body, headers = reply.body, dict(reply.headers)
        if reply.status == 200 and "gzip" in handler.headers.get("Accept-Encoding", "") and not headers:
            body, headers = gzip.compress(body), {"Content-Encoding": "gzip"}
        handler.send_response(reply.status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **headers,
        }.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[: len(body) - reply.cut])
        if reply.cut:
            handler.close_connection = True

    def _found(self, asked: Asked) -> dict[str, Any]:
        if asked["action"] == "wbsearchentities":
            begins = asked["search"].casefold()
            hits = [
                {"id": qid, "concepturi": f"http://www.wikidata.org/entity/{qid}"}
                for qid, one in self.entities.items()
                if any(
                    term["value"].casefold().startswith(begins) for term in dict(one["labels"] or {}).values()
                )
            ]
            return {"searchinfo": {"search": asked["search"]}, "search": hits, "success": 1}
        found: dict[str, Any] = {}
        for qid in asked["ids"].split("|"):
            target = self.redirects.get(qid, qid)
            if int(qid[1:]) >= 2**31:
                return {
                    "error": {
                        "code": "no-such-entity",
                        "info": f"Could not find an entity with the ID {qid}.",
                        "id": qid,
                    }
                }
            if target not in self.entities:
                found[qid] = {"id": qid, "missing": ""}
                continue
            moved = {"redirects": {"from": qid, "to": target}} if target != qid else {}
            found[qid] = {**moved, **_in(self.entities[target], asked.get("languages"))}
        return {"entities": found, "success": 1}


def _in(one: dict[str, Any], languages: str | None) -> dict[str, Any]:
    """An item in some languages only."""
    if languages is None:
        return one
    wanted = set(languages.split("|"))
    terms = {
        name: {code: term for code, term in dict(one[name] or {}).items() if code in wanted} or []
        for name in ("labels", "descriptions", "aliases")
    }
    return {**one, **terms}


def as_json(content: Any) -> Reply:
    return Reply(body=json.dumps(content).encode())


@contextlib.contextmanager
def serving(*args: Any, **options: Any) -> Iterator[Wikibase]:
    server = Wikibase(*args, **options)
    try:
        yield server
    finally:
        server.close()


def write_dump(path: Path, entities: Sequence[dict[str, Any]] = SMALL, *, more: Sequence[bytes] = ()) -> Path:
    """A dump as Wikidata publishes it: one list, one entity a line; ``more`` lines as they are."""
    import bz2

    opens: Any = {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)
    lines = [json.dumps(one, separators=(",", ":"), ensure_ascii=False).encode() for one in entities]
    with opens(path, "wb") as file:
        file.write(b"[\n" + b",\n".join([*lines, *more]) + b"\n]\n")
    return path
