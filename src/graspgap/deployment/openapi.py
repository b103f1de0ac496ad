"""The OpenAPI description of the HTTP form."""

from __future__ import annotations

from typing import Any

from graspgap import __version__
from graspgap.deployment.served import ServedPolicy


def openapi(policy: ServedPolicy, api_key: bool) -> dict[str, Any]:
    """OpenAPI 3.1 document for this policy; `api_key`: whether the server asks for one."""
    size, steps = policy.image_size, policy.config.steps_per_attempt
    picture = {
        "description": f"RGB picture of {size} x {size} pixels: a PNG file in base64, or rows of pixels",
        "oneOf": [
            {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
            {"type": "array", **_exactly(size), "items": {"type": "array", **_exactly(size), "items": _pixel()}},
        ],
    }
    chance = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    observation = {
        "type": "object",
        "required": ["image_before", "image_now", "pose"],
        "additionalProperties": False,
        "properties": {
            "image_before": picture,
            "image_now": picture,
            "pose": _numbers(4, "gripper pose x, y, z [m, robot base frame], yaw [rad]"),
            "step": {
                "description": "servo step of the attempt; left out, the attempt has no last step",
                "type": ["integer", "null"],
                "minimum": 0,
                "maximum": steps - 1,
            },
        },
    }
    answer = {
        "type": "object",
        "properties": {
            "actions": {"type": "array", **_exactly(1), "items": _numbers(5, policy.metadata["action"])},
            "close": {"type": "boolean", "description": "close the fingers here"},
            "predicted_stay": chance | {"description": "predicted success of closing here"},
            "predicted_best": chance | {"description": "that of the best target found; null if none was searched for"},
            "abstain": {"type": "boolean", "description": "what is done is not worth trying"},
            "server_timing": {"type": "object", "additionalProperties": {"type": "number"}},
        },
    }
    error = {"type": "object", "properties": {"error": {"type": "string"}}}
    refusals = {
        "400": "the request is wrong",
        "401": "the key is missing or wrong",
        "403": "the request comes from a web page",
        "408": "the request came too slowly",
        "413": "the request is too large",
        "429": "too many requests",
        "500": "the server failed; its log tells more",
        "503": "too many clients, too long a wait, or the server is stopping",
    }
    responses = {code: {"description": text, "content": _json(error)} for code, text in refusals.items()}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "graspgap policy server", "version": __version__},
        "paths": {
            "/act": {
                "post": {
                    "summary": "What to do, given what is seen",
                    "requestBody": {"required": True, "content": _json(observation)},
                    "responses": {"200": {"description": "what to do", "content": _json(answer)}} | responses,
                }
            },
            "/metadata": {
                "get": {
                    "summary": "What the policy takes and was made of",
                    "responses": {"200": {"description": "facts", "content": _json({"type": "object"})}},
                }
            },
            "/healthz": {"get": {"summary": "Is it up?", "responses": {"200": {"description": "OK"}}}},
        },
    }
    if api_key:
        scheme = {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Api-Key KEY"}
        document["components"] = {"securitySchemes": {"key": scheme}}
        for path, method in (("/act", "post"), ("/metadata", "get")):
            document["paths"][path][method]["security"] = [{"key": []}]
    return document


def _exactly(count: int) -> dict[str, int]:
    return {"minItems": count, "maxItems": count}


def _pixel() -> dict[str, Any]:
    return {"type": "array", **_exactly(3), "items": {"type": "integer", "minimum": 0, "maximum": 255}}


def _numbers(count: int, description: str) -> dict[str, Any]:
    return {"type": "array", **_exactly(count), "items": {"type": "number"}, "description": description}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
