"""JSON, out: state values hold messages, dataclasses, sets … whatever a graph puts into them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import orjson  # no dependency of its own: langgraph brings it (through langgraph-sdk)


def _default(value: Any) -> Any:
    """Convert what JSON has no notation for; the last resort is ``repr``, so that reading never fails."""
    if isinstance(value, type):
        return repr(value)
    if callable(dump := getattr(value, "model_dump", None)):
        return dump()
    if callable(as_dict := getattr(value, "_asdict", None)):
        return as_dict()
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return repr(value)


def dumps(value: Any) -> bytes:
    """Encode as JSON. Never raises for what a graph's state can hold."""
    try:
        return orjson.dumps(value, default=_default, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # integers beyond 64 bits, lone surrogates: the standard library copes
        return json.dumps(value, default=_default).encode()
