"""The service asked at random by its own description, valid and invalid. Oracle: schemathesis.

``placevec serve ...`` and ``schemathesis run http://127.0.0.1:8767/openapi.json`` ask as often as one likes.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from tests.service.conftest import Starting


def test_every_answer_is_as_described(start: Starting) -> None:
    """Statuses, media types and schemas are those of the document, and none says that there is a bug."""
    schemathesis = pytest.importorskip("schemathesis", reason="pip install schemathesis")
    checks = schemathesis.checks
    chosen = [
        checks.not_a_server_error,
        *(one for one in checks.CHECKS.get_all() if one.__name__ in (
            "status_code_conformance", "content_type_conformance", "response_schema_conformance"
        )),
    ]  # fmt: skip
    asked = start(hosts=())
    schema = schemathesis.openapi.from_dict(asked("GET", "/openapi.json").json())
    found: Counter[str] = Counter()
    for result in schema.exclude(path="/").get_all_operations():
        operation = result.ok()
        for mode in schemathesis.GenerationMode:

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=3, deadline=None, phases=[Phase.generate], database=None,
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            def ask(case: Any) -> None:
                import requests

                prepared = requests.Request(
                    **_plain(case.as_transport_kwargs(base_url="http://127.0.0.1"))
                ).prepare()
                reply = asked(
                    str(prepared.method),
                    str(prepared.url),
                    content=prepared.body,
                    headers=dict(prepared.headers),
                )
                found[str(reply.status_code)] += 1
                case.validate_response(schemathesis.Response.from_any(reply), checks=chosen)

            with contextlib.suppress(
                Unsatisfiable
            ):  # nothing invalid can be asked where nothing can be given
                ask()
    assert found["200"]
    assert found["422"]


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Without what only a session of requests takes."""
    names = ("method", "url", "headers", "files", "data", "json", "params", "auth", "cookies")
    return {name: value for name, value in options.items() if name in names}
