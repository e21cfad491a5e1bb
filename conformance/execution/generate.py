"""Makes requests of a target's own description, with schemathesis; a process of its own (``python -m``).

Reads what ``generated.ask`` writes and writes the requests. Apart from the check, so that what is timed there is not
disturbed, and so that generation can be ended when it takes too long. Nothing is sent from here.

Requests are made harmless: they name no thread and no assistant but the check's own, run the probe for one superstep,
call nobody back, and wait for nothing.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import HypothesisException
from schemathesis import GenerationMode

from conformance.bad_input import CREATES, INPUT
from conformance.execution.curl import curl_of
from conformance.programs import Send

# Of the API's run, thread and state operations, those that touch nothing but the thread that they name.
OPERATIONS: dict[tuple[str, str], str] = {
    ("POST", "/threads"): "create-thread",
    ("POST", "/threads/{}/runs"): "create-run",
    ("POST", "/threads/{}/runs/wait"): "wait-run",
    ("POST", "/threads/{}/runs/stream"): "stream-run",
    ("PATCH", "/threads/{}"): "update-thread",
    ("POST", "/threads/{}/state"): "update-state",
    ("GET", "/threads/{}/state"): "read",
    ("GET", "/threads/{}/history"): "read",
    ("POST", "/threads/{}/history"): "read",
    ("POST", "/threads/search"): "read",
    ("GET", "/threads/{}/runs"): "read",
    ("POST", "/threads/{}/runs/{}/cancel"): "cancel",
}
NAMES = ("THREAD_ID", "RUN_ID")  # of the path's parameters, in order
LARGEST = 4000  # bytes of a request
LONG_S = 1e9  # a delay, beyond which it is extreme
KINDS = ((GenerationMode.NEGATIVE, 6, 4), (GenerationMode.POSITIVE, 3, 2))  # how many: of creates, of others
PARAMETER = re.compile(r"\{[^}]*\}")


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Method, path and meaning of the operations that the document describes and that are harmless."""
    paths = document.get("paths")
    for path, item in paths.items() if isinstance(paths, Mapping) else ():
        for method in item if isinstance(item, Mapping) else ():
            meaning = OPERATIONS.get((method.upper(), PARAMETER.sub("{}", path)))
            if meaning is not None:
                yield method.upper(), path, meaning


def trimmed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with these operations alone, without servers, and with no reference that leads out of it."""
    kept: dict[str, Any] = {k: v for k, v in document.items() if k not in ("servers", "security", "host", "basePath")}
    kept["paths"] = {}
    for method, path, _ in operations(document):
        item = document["paths"][path]
        shared = {"parameters": item["parameters"]} if "parameters" in item else {}
        kept["paths"].setdefault(path, shared)[method.lower()] = item[method.lower()]
    return dict(_without_foreign(kept))


def _without_foreign(value: Any) -> Any:
    if isinstance(value, Mapping):
        ref = value.get("$ref")
        if isinstance(ref, str) and not ref.startswith("#"):
            return {}
        return {k: _without_foreign(v) for k, v in value.items()}
    return [_without_foreign(v) for v in value] if isinstance(value, list) else value


def generate(document: Mapping[str, Any], url: str, number: int) -> list[Send]:
    """Requests of a document, the same for the same ``number``."""
    schema = schemathesis.openapi.from_dict(trimmed(document))
    made: dict[tuple[str, str, str | None], Send] = {}
    for method, path, meaning in operations(document):
        for mode, of_creates, of_others in KINDS:
            count = of_creates if meaning in CREATES else of_others
            own = zlib.crc32(f"{number} {method} {path} {mode}".encode())
            for case in _cases(schema[path][method], mode, count, own):
                send = _send(case, f"g{len(made)}", meaning, url)
                if send is not None:
                    made.setdefault((send.method, send.path, send.body), send)
    return list(made.values())


def _cases(operation: Any, mode: GenerationMode, count: int, number: int) -> list[Any]:
    """Some cases of an operation; none where it has nothing to vary."""
    cases: list[Any] = []
    names = dict(zip(PARAMETER.findall(operation.path), NAMES, strict=False))
    fixed = {name.strip("{}"): value for name, value in names.items()}

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode, path_parameters=fixed))
    def collect(case: Any) -> None:
        cases.append(case)

    with suppress(HypothesisException, schemathesis.errors.SchemathesisError):  # what was drawn so far will do
        collect()
    return cases[:count]


def _send(case: Any, tag: str, meaning: str, url: str) -> Send | None:
    """The case as a request; None where it cannot be one, or is too large."""
    case.headers, case.cookies = {}, {}
    case.body = harmless(case.body, meaning)
    kept = case.as_transport_kwargs(base_url=url)
    kept = {k: v for k, v in kept.items() if k in ("method", "url", "params", "data", "json", "files", "headers")}
    try:
        ready = requests.Request(**kept).prepare()
    except (requests.RequestException, ValueError, TypeError):
        return None
    content = ready.body.encode() if isinstance(ready.body, str) else ready.body
    if not isinstance(content, bytes | None) or len(content or b"") + len(ready.url or "") > LARGEST:
        return None
    try:
        body, encoding = None if content is None else content.decode(), "utf-8"
    except UnicodeDecodeError:
        body, encoding = (content or b"").decode("latin-1"), "latin-1"
    fields: dict[str, Any] = {
        "path": str(ready.url)[len(url.rstrip("/")) :],
        "body": body,
        "wrong": "types" if content is None else _wrong(content),
        "what": f"{case.method} {case.path} {_described(case)}",
        "thread": tag if meaning in CREATES and "THREAD_ID" in str(ready.url) else "",
        "content_type": ready.headers.get("content-type"),
        "encoding": encoding,
    }
    if "THREAD_ID" in str(ready.url) and not fields["thread"]:
        fields["thread"] = "shared"
    send = Send(tag, meaning, str(case.method), **fields)
    # Schemathesis writes bytes into its curl command that a shell does not pass on.
    plain = encoding == "utf-8" and "\0" not in (body or "")
    curl = case.as_curl_command(base_url=url) if plain else curl_of(send, url)
    return Send(tag, meaning, str(case.method), **fields, curl=curl)


def _wrong(content: bytes) -> str:
    """In which respect a body may be wrong: delays, and what is no JSON, have requirements of their own."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return "json"
    delay = body.get("after_seconds") if isinstance(body, dict) else None
    if not isinstance(delay, int | float) or isinstance(delay, bool) or 0 <= delay <= LONG_S:
        return "types"
    return "negative-delay" if delay < 0 else "oversize"


def _described(case: Any) -> str:
    said = getattr(getattr(getattr(case.meta, "phase", None), "data", None), "description", None)
    return "is as its description allows" if not said or said.startswith("Positive") else " ".join(str(said).split())


def harmless(body: Any, meaning: str) -> Any:
    """A body that concerns nobody but the check; what is wrong with it mostly stays wrong."""
    if not isinstance(body, dict):
        return body
    kept = {k: v for k, v in body.items() if not (k == "webhook" and isinstance(v, str))}
    if meaning == "create-thread":
        if "thread_id" not in kept or _is_uuid(kept["thread_id"]):
            kept["thread_id"] = "FRESH_ID"  # so that it can be found, and removed, whatever the answer says
        if kept.get("if_exists") == "do_nothing":
            kept["if_exists"] = "raise"
    elif meaning in CREATES:
        if isinstance(kept.get("assistant_id"), str):
            kept["assistant_id"] = "ASSISTANT_ID"
        if isinstance(kept.get("input"), dict | list):
            kept["input"] = dict(INPUT)
        delay = kept.get("after_seconds")
        if meaning != "create-run" and isinstance(delay, int | float) and delay > 0:
            kept["after_seconds"] = 0
    return kept


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(uuid.UUID(value))
    except ValueError:
        return False


def main() -> None:
    """From standard input to standard output."""
    asked = json.load(sys.stdin)
    sends = generate(asked["document"], asked["url"], asked["seed"])
    json.dump([asdict(send) for send in sends], sys.stdout)


if __name__ == "__main__":
    main()
