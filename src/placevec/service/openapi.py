"""The OpenAPI document of the service: what FastAPI finds, and all that it cannot see."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from placevec.service.requests import EmbedRequest, SimilarQuery, UploadQuery
from placevec.service.settings import Settings

GEOJSON, NPY, PNG = "application/geo+json", "application/x-npy", "image/png"
IMAGES = {PNG: ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/tiff": ".tif", NPY: ".npy"}
"""Media type of an upload -> its format."""
_OBJECT: dict[str, Any] = {"schema": {"type": "object"}}
_CONTENTS: dict[str, dict[str, Any]] = {
    "/": {"text/html": {"schema": {"type": "string"}}},
    "/embed": {
        "application/json": {"schema": {"$ref": "#/components/schemas/Embedded"}},
        NPY: {"schema": {"type": "string", "format": "binary"}},
    },
    "/metrics": {"text/plain": {"schema": {"type": "string"}}},
    "/places/{place_id}": {GEOJSON: _OBJECT},
    "/similar": {GEOJSON: _OBJECT},
    "/tiles/{z}/{x}/{y}": {PNG: {"schema": {"type": "string", "format": "binary"}}},
}
"""What is sent with status 200, where it is not what FastAPI finds."""


def openapi_of(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """The OpenAPI document, with all that /embed reads."""
    if app.openapi_schema:
        return app.openapi_schema
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _, told = models_json_schema([(EmbedRequest, "validation")], ref_template="#/components/schemas/{model}")
    found["components"]["schemas"] |= told["$defs"]
    found["paths"]["/similar"]["get"]["parameters"] = _parameters(SimilarQuery)
    found["paths"]["/embed"]["post"]["parameters"] = _parameters(UploadQuery)
    problem = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, methods in found["paths"].items():
        for operation in methods.values():
            for status, reply in operation["responses"].items():
                reply["content"] = problem if status != "200" else _CONTENTS.get(path, reply.get("content"))
    kinds = ("HTTPValidationError", "ValidationError")
    found["components"]["schemas"] = {
        name: schema for name, schema in found["components"]["schemas"].items() if name not in kinds
    }
    binary: dict[str, Any] = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in IMAGES}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/EmbedRequest"}}, **binary}
    found["paths"]["/embed"]["post"]["requestBody"] = {"required": True, "content": content}
    if settings.digests:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    app.openapi_schema = found
    return found


def _parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """The fields of a model as parameters of a query."""
    told = model.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": schema} for name, schema in told.items()
    ]
