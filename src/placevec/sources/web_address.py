"""Web addresses: checked, printed without secrets, and blocked for servers that forbid bulk downloads."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from placevec.errors import SourceError

NO_BULK = ("tile.openstreetmap.org", "tile.osm.org")
"""Servers that forbid bulk downloads, including their subdomains."""


_REASON = (
    "its policy forbids bulk download (operations.osmfoundation.org/policies/tiles). Run your own tile server "
    "(docs/tile-server.md), or prepare from an extract of the same data with --osm or --osm-name"
)


def printable_address(text: str) -> str:
    """An address without user, password and the values of its query string.

    >>> printable_address("https://me:secret@maps.example/{z}/{x}/{y}.png?key=123")
    'https://maps.example/{z}/{x}/{y}.png?key=...'
    """
    text = re.sub(r"(?<=://)[^/@]*@", "", text)
    head, mark, query = text.partition("?")
    return (head + mark + re.sub(r"=[^&{}]*(?=&|$)", "=...", query))[:300]


def check_url(url: str) -> SplitResult:
    """The parts of an http(s) address; SourceError if it is invalid or contains a password.

    >>> check_url("https://maps.example/{z}/{x}/{y}.png").hostname
    'maps.example'
    >>> check_url("ftp://maps.example/{z}/{x}/{y}.png")
    Traceback (most recent call last):
        ...
    placevec.errors.SourceError: data can only be downloaded over http or https, not from ftp://maps.example/{z}/{x}/{y}.png
    """
    shown = printable_address(url)
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise SourceError(f"the address {shown} has a space, a backslash or a control character")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SourceError(f"{shown} is not a valid address: {error}") from error
    if parts.scheme not in ("http", "https"):
        raise SourceError(f"data can only be downloaded over http or https, not from {shown}")
    if parts.username is not None or parts.password is not None:
        raise SourceError(
            f"the address {shown} has a user name or a password, which would be stored in the dataset: remove it"
        )
    if not parts.hostname or port == 0:
        raise SourceError(f"{shown} has no host name")
    return parts


def port_of(parts: SplitResult) -> int:
    """The port of an address, given or implied.

    >>> port_of(check_url("https://maps.example/")), port_of(check_url("http://localhost:8080/"))
    (443, 8080)
    """
    return parts.port or (443 if parts.scheme == "https" else 80)


def refuse_bulk(host: str) -> None:
    """SourceError for a server that forbids bulk downloads.

    >>> refuse_bulk("maps.example")
    """
    host = host.rstrip(".").lower()
    if any(host == name or host.endswith(f".{name}") for name in NO_BULK):
        raise SourceError(f"tiles cannot be downloaded from {host}: {_REASON}")


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet; private, loopback, link-local and reserved ones are not.

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
