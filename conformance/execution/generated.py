"""Requests that schemathesis makes of the target's own ``/openapi.json``, as programs.

Schemathesis is heavy (extra ``schema``) and works in a process of its own: see ``generate``. Where it is missing, or
fails, the requests written by hand are sent all the same, and the report says what was left out.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import anyio
import httpx

from conformance.bad_input import CREATES, GENERATED, control
from conformance.execution.client import Client
from conformance.programs import Program, Send

PATIENCE_S = 60.0  # for generation: some seconds where nothing else wants the processor
A_PROGRAM = 16  # requests of one program
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "doubletext" / "hypothesis"


class CannotGenerate(Exception):
    """No requests can be generated; the text says why, and what to do."""


async def generated_programs(client: Client, seed: int) -> list[Program]:
    """Programs of requests by the target's description, or by the one that ships here where it serves none.

    Raises:
        CannotGenerate: schemathesis is not installed, or makes nothing of the description.
    """
    if importlib.util.find_spec("schemathesis") is None:
        raise CannotGenerate("no requests were generated: schemathesis is missing (pip install 'doubletext[schema]')")
    served = await _served(client)
    sends = await ask(served, client.address.shown, seed) if served is not None else []
    if not any(s.operation in CREATES for s in sends):  # nothing, or nothing of use
        sends = await ask(packaged(), client.address.shown, seed)
    parts = [sends[i : i + A_PROGRAM] for i in range(0, len(sends), A_PROGRAM)]
    return [
        Program(f"{GENERATED}/{i}", GENERATED, (*part, control(f"right{i}")), stage=1) for i, part in enumerate(parts)
    ]


def packaged() -> dict[str, Any]:
    """What every Agent Server has of run, thread and state operations."""
    value: dict[str, Any] = json.loads(files("conformance.execution").joinpath("openapi.json").read_text())
    return value


async def _served(client: Client) -> Mapping[str, Any] | None:
    try:
        answer = await client.http.get("/openapi.json")
        document = answer.json() if answer.is_success else None
    except (httpx.HTTPError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


async def ask(document: Mapping[str, Any], url: str, seed: int) -> list[Send]:
    """The requests that are made of a document, the same for the same seed.

    Raises:
        CannotGenerate: it took too long, or failed.
    """
    asked = json.dumps({"document": document, "url": url, "seed": seed}).encode()
    environment = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(CACHE), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "conformance.execution.generate"]
    try:
        with anyio.fail_after(PATIENCE_S):
            done = await anyio.run_process(command, input=asked, check=False, stderr=subprocess.PIPE, env=environment)
    except TimeoutError as e:
        raise CannotGenerate(f"no requests were generated: schemathesis was not ready in {PATIENCE_S:g} s") from e
    except OSError as e:
        raise CannotGenerate(f"no requests were generated: {e}") from e
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no word"]
        raise CannotGenerate(f"no requests were generated: schemathesis ended with {said[-1][:200]}")
    return [Send(**{**s, "stuffing": None}) for s in json.loads(done.stdout)]
