"""Addresses of files that a server only answers with a signature, which another address gives and which expires.

Planetary Computer documents it: ``.../api/sas/v1/sign?href=FILE`` answers with JSON that holds the signed address
(``href``) and when it expires (``msft:expiry``), https://planetarycomputer.microsoft.com/docs/concepts/sas/. A file is
signed on its own, so that no signature is sent to servers that it is not for.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from placevec.errors import SourceError
from placevec.io.json_documents import parse_json
from placevec.sources.patience import PatientClient
from placevec.sources.web_address import check_url, printable_address

PLANETARY_COMPUTER = "https://planetarycomputer.microsoft.com/api/sas/v1/sign"
EARLY_S = 60.0
"""Seconds before it expires at which a signature is renewed."""
UNKNOWN_S = 600.0
"""Seconds that a signature is used which does not say when it expires."""


def signer_of(catalog: str) -> str | None:
    """The address that signs the files of a catalog, if it is known to need one.

    >>> signer_of("https://planetarycomputer.microsoft.com/api/stac/v1") == PLANETARY_COMPUTER
    True
    >>> signer_of("https://earth-search.aws.element84.com/v1") is None
    True
    """
    return PLANETARY_COMPUTER if urlsplit(catalog).hostname == urlsplit(PLANETARY_COMPUTER).hostname else None


class SignedAddress:
    """The signed address of one file, renewed before it expires.

    Args:
        url: of the file.
        signer: address that signs it.
        client: makes the request.
        clock: seconds since 1970.
    """

    def __init__(
        self, url: str, signer: str, client: PatientClient, clock: Callable[[], float] = time.time
    ) -> None:
        self.url, self._signer, self._client, self._clock = url, signer, client, clock
        self._signed, self._until = "", 0.0

    def now(self) -> str:
        """The address with a signature that is valid.

        Raises:
            SourceError: the signer cannot be read, or answers something else.
        """
        if self._clock() >= self._until - EARLY_S:
            mark = "&" if urlsplit(self._signer).query else "?"
            answer = self._client.get(f"{self._signer}{mark}{urlencode({'href': self.url})}")
            try:
                told = parse_json(answer.body)
                signed, expires = told["href"], told.get("msft:expiry")
                check_url(signed)
                until = self._clock() + UNKNOWN_S
                if expires is not None:
                    until = datetime.datetime.fromisoformat(expires).timestamp()
            except (ValueError, TypeError, KeyError, AttributeError, SourceError) as error:
                raise SourceError(
                    f"{printable_address(self._signer)} returned no signed address for {printable_address(self.url)}"
                ) from error
            self._signed, self._until = signed, until
        return self._signed
