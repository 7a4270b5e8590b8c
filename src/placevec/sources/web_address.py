"""Addresses on the web: checked, printed without secrets, and refused where bulk downloads are."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from placevec.errors import SourceError

NO_BULK = ("tile.openstreetmap.org", "tile.osm.org")
"""Servers that forbid bulk downloads, their subdomains included."""


_REASON = (
    "its policy forbids bulk download (operations.osmfoundation.org/policies/tiles). Run a tile server of your own "
    "(docs/tile-server.md), or prepare from an extract of the same data with --osm or --osm-name"
)


def printable_address(text: str) -> str:
    """An address without user, password and the values of its query.

    >>> printable_address("https://me:secret@maps.example/{z}/{x}/{y}.png?key=123")
    'https://maps.example/{z}/{x}/{y}.png?key=...'
    """
    text = re.sub(r"(?<=://)[^/@]*@", "", text)
    head, mark, query = text.partition("?")
    return (head + mark + re.sub(r"=[^&{}]*(?=&|$)", "=...", query))[:300]


def check_url(url: str) -> SplitResult:
    """The parts of an http(s) address; SourceError when it is none, or holds a password."""
    shown = printable_address(url)
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise SourceError(f"the address {shown} holds a blank, a backslash or a control character")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SourceError(f"{shown} is no address: {error}") from error
    if parts.scheme not in ("http", "https"):
        raise SourceError(f"tiles come over http or https, not from {shown}")
    if parts.username is not None or parts.password is not None:
        raise SourceError(
            f"the address {shown} holds a user or a password, which would be written into the dataset"
        )
    if not parts.hostname or port == 0:
        raise SourceError(f"{shown} names no server")
    return parts


def port_of(parts: SplitResult) -> int:
    """The port that an address names or means."""
    return parts.port or (443 if parts.scheme == "https" else 80)


def refuse_bulk(host: str) -> None:
    """SourceError for a server that forbids what is about to be done."""
    host = host.rstrip(".").lower()
    if any(host == name or host.endswith(f".{name}") for name in NO_BULK):
        raise SourceError(f"tiles cannot be taken from {host}: {_REASON}")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet; private, loopback, link-local and reserved ones are not.

    >>> [is_public(text) for text in ("8.8.8.8", "10.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254")]
    [True, False, False, False, False]
    """
    found = ipaddress.ip_address(address.split("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if inner is None and found in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return found.is_global and not found.is_multicast


def _host_of(text: str) -> str:
    return text.split("://", 1)[-1].split("/", 1)[0]


USER_AGENT = "placevec (+https://placevec.readthedocs.io)"
