"""Addresses of tile servers. Oracle: what a person would say of each."""

from __future__ import annotations

import pytest

from placevec.errors import SourceError, UsageError
from placevec.sources.tiles.address import TileTemplate
from placevec.sources.web_address import check_url, is_public


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://localhost/tiles.png", r"lacks \{z\}, \{x\}, \{y\}"),
        ("http://localhost/{z}/{x}.png", r"lacks \{y\}"),
        ("http://localhost/{z}/{x}/{y}/{q}.png", r"unknown placeholder \{q\}"),
        ("http://localhost/{z}/{x}/{y}{.png", "an unbalanced brace"),
        ("file:///tiles/{z}/{x}/{y}.png", "http or https"),
        ("ftp://localhost/{z}/{x}/{y}.png", "http or https"),
        ("localhost/{z}/{x}/{y}.png", "http or https"),
        ("http:///{z}/{x}/{y}.png", "has no host name"),
        ("http://localhost:99999/{z}/{x}/{y}.png", "is not a valid address"),
        ("http://me:secret@localhost/{z}/{x}/{y}.png", "a user name or a password"),
        ("http://{x}.example.org/{z}/{x}/{y}.png", "in the host name"),
        ("http://localhost/{z}/{x}/{y}.png\r\nX-Header: 1", "a space, a backslash or a control"),
    ],
)
def test_what_is_no_template(text: str, reason: str) -> None:
    """Wrong usage, exit code 2."""
    with pytest.raises(UsageError, match=reason) as caught:
        TileTemplate.parse(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    ["tile.openstreetmap.org", "a.tile.openstreetmap.org", "{s}.tile.openstreetmap.org", "TILE.OpenStreetMap.org.",
     "tile.osm.org:443"],
)  # fmt: skip
def test_bulk_download_is_rejected_where_it_is_forbidden(host: str) -> None:
    with pytest.raises(SourceError, match=r"forbids bulk download .*tile-server\.md.*--osm") as caught:
        TileTemplate.parse(f"https://{host}/{{z}}/{{x}}/{{y}}.png")
    assert not isinstance(caught.value, UsageError)


def test_an_address_that_a_server_sends_to_is_no_wrong_usage() -> None:
    """Redirects are checked by the same rules; what a server answers is not what was asked for: exit code 1."""
    with pytest.raises(SourceError, match="http or https") as caught:
        check_url("ftp://localhost/0/0/0.png")
    assert not isinstance(caught.value, UsageError)


def test_neighbors_in_name_only_are_not_rejected() -> None:
    for host in ("nottile.openstreetmap.org.example.org", "mytile-openstreetmap.org"):
        assert TileTemplate.parse(f"https://{host}/{{z}}/{{x}}/{{y}}.png").server[0] == host


def test_urls() -> None:
    assert (
        TileTemplate.parse("https://{s}.example.org/{z}/{x}/{-y}@1.png").url(2, 1, 0)
        == "https://b.example.org/2/1/3@1.png"
    )
    assert (
        TileTemplate.of_server("10.0.0.7", 8080, "/hot/{z}/{x}/{y}.png").url(1, 0, 1)
        == "http://10.0.0.7:8080/hot/1/0/1.png"
    )
    assert TileTemplate.parse("http://h:81/a/{z}/{x}/{y}.png?k=1").server == ("h", 81, "/a/{z}/{x}/{y}.png")
    for path, port in (("hot/{z}/{x}/{y}.png", 80), ("/hot/{z}/{x}/{y}.png", 0)):
        with pytest.raises(UsageError):
            TileTemplate.of_server("10.0.0.7", port, path)


def test_a_key_is_not_shown() -> None:
    template = TileTemplate.parse("https://example.org/{z}/{x}/{y}.png?key=abc&style=hot")
    assert template.shown == "https://example.org/{z}/{x}/{y}.png?key=...&style=..."
    assert "abc" in template.url(0, 0, 0)


def test_public_addresses() -> None:
    for address in ("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "0.0.0.0", "169.254.1.1", "100.64.0.1",
                    "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1",
                    "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1"):  # fmt: skip
        assert not is_public(address), address
    for address in ("1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"):
        assert is_public(address), address
