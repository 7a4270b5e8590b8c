"""The address of a tile server: a template with z, x and y, checked before any request."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from placevec.errors import SourceError, UsageError
from placevec.sources.web_address import _host_of, check_url, port_of, printable_address, refuse_bulk

PLACEHOLDERS = ("z", "x", "y", "-y", "s")
SUBDOMAINS = "abc"
"""Values of ``{s}``."""


@dataclass(frozen=True)
class TileTemplate:
    """An address such as ``http://localhost:8080/hot/{z}/{x}/{y}.png``.

    ``{-y}`` counts rows from the south (TMS); ``{s}`` is a, b or c.

    >>> TileTemplate.parse("http://localhost/{z}/{x}/{y}.png").url(17, 3, 5)
    'http://localhost/17/3/5.png'
    >>> TileTemplate.parse("https://tile.openstreetmap.org/{z}/{x}/{y}.png")
    Traceback (most recent call last):
    placevec.errors.SourceError: tiles cannot be downloaded from tile.openstreetmap.org: its policy forbids bulk \
download (operations.osmfoundation.org/policies/tiles). Run your own tile server (docs/tile-server.md), or prepare from \
an extract of the same data with --osm or --osm-name
    """

    text: str

    @classmethod
    def parse(cls, text: str) -> TileTemplate:
        """Parse and check a template.

        Raises:
            UsageError: a scheme other than http or https, missing or unknown placeholders, or a password, whatever the
                server has.
            SourceError: a server that forbids bulk downloads.
        """
        text = text.strip()
        names = re.findall(r"\{([^{}]*)\}", text)
        shown = printable_address(text)
        if "{" in re.sub(r"\{[^{}]*\}", "", text) or "}" in re.sub(r"\{[^{}]*\}", "", text):
            raise UsageError(f"the address {shown} has an unbalanced brace")
        if unknown := [name for name in names if name not in PLACEHOLDERS]:
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise UsageError(
                f"the address {shown} has an unknown placeholder {{{unknown[0]}}}: choose from {known}"
            )
        missing = [name for name in "zxy" if name not in names and (name != "y" or "-y" not in names)]
        if missing:
            raise UsageError(
                f"the address {shown} lacks {', '.join(f'{{{name}}}' for name in missing)}: write it like "
                "http://localhost:8080/hot/{z}/{x}/{y}.png"
            )
        template = cls(text)
        try:
            sample = check_url(template.url(0, 0, 0))
        except SourceError as error:  # a redirect can lead to such an address too, which is not wrong usage
            raise UsageError(str(error)) from error
        if any(f"{{{name}}}" in _host_of(text) for name in PLACEHOLDERS[:4]):
            raise UsageError(f"the address {shown} has z, x or y in the host name")
        refuse_bulk(sample.hostname or "")
        return template

    @classmethod
    def of_server(cls, ip: str, port: int, path: str) -> TileTemplate:
        """From the original ``--server-ip``, ``--server-port`` and ``--server-path``; raises as `parse` does.

        >>> TileTemplate.of_server("::1", 8080, "/hot/{z}/{x}/{y}.png").text
        'http://[::1]:8080/hot/{z}/{x}/{y}.png'
        """
        if not 1 <= port <= 65535:
            raise UsageError(f"--server-port must be 1 to 65535; got {port}")
        if not path.startswith("/"):
            raise UsageError(
                f"--server-path must begin with /, such as /hot/{{z}}/{{x}}/{{y}}.png; got {path!r}"
            )
        return cls.parse(f"http://{f'[{ip}]' if ':' in ip else ip}:{port}{path}")

    def url(self, zoom: int, x: int, y: int) -> str:
        """The address of one tile."""
        text = self.text.replace("{z}", str(zoom)).replace("{x}", str(x)).replace("{y}", str(y))
        text = text.replace("{-y}", str(2**zoom - 1 - y))
        return text.replace("{s}", SUBDOMAINS[(x + y) % len(SUBDOMAINS)])

    @property
    def shown(self) -> str:
        """The template without anything that may be a key: for messages and manifests."""
        return printable_address(self.text)

    @property
    def servers(self) -> frozenset[tuple[str, str, int]]:
        """(scheme, host, port) of every server in it."""
        parts = [urlsplit(self.url(0, x, 0)) for x in range(len(SUBDOMAINS))]
        return frozenset((part.scheme, part.hostname or "", port_of(part)) for part in parts)

    @property
    def server(self) -> tuple[str, int, str]:
        """Host, port and path, as in the original metadata."""
        parts = urlsplit(self.url(0, 0, 0))
        path = self.text.split("://", 1)[1]
        return (
            parts.hostname or "",
            port_of(parts),
            f"/{path.split('/', 1)[1].split('?')[0]}" if "/" in path else "/",
        )

    @property
    def hash(self) -> str:
        """Identifies the tiles of one server."""
        return hashlib.sha256(self.text.encode()).hexdigest()
