"""The embedded reference server: a process of its own, started for one check and stopped after it."""

from __future__ import annotations

import importlib.util
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

READY = "listening on "
START_S = 60.0
STOP_S = 5.0
PROBE = Path(__file__).parent / "probe" / "graph.py"
NEEDS = ("langgraph", "fastapi", "uvicorn")


class CannotServe(Exception):
    """The reference server did not start; the text says why and what to do."""


def command(*arguments: str) -> list[str]:
    """The command line of the reference server; raises CannotServe where its packages are missing."""
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise CannotServe(
            f"the reference server needs {', '.join(missing)}: pip install 'doubletext[reference]' "
            "(a URL as argument checks another server without it)"
        )
    return [sys.executable, "-m", "reference_impl", "--graph", f"doubletext={PROBE}:graph", *arguments]


@contextmanager
def reference_server(*arguments: str, path: Sequence[str] = ()) -> Iterator[str]:
    """Run the reference server on a free port for the duration of the block; yields its URL.

    ``path``: where else it looks for modules to import.

    Raises:
        CannotServe: it did not get ready.
    """
    # A session of its own: Ctrl-C belongs to the check, which stops the server when it has cleaned up.
    process = subprocess.Popen(
        command("--port", "0", "--with-parent", *arguments),
        stdin=subprocess.PIPE,  # closes with this process, however it ends
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **_python_path(path), "LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"},
    )
    errors: list[str] = []
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        _collect(process.stderr, errors)
        yield _ready(process.stdout, process, errors)
    finally:
        stop(process)


def _python_path(path: Sequence[str]) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(path)} if path else {}


def stop(process: subprocess.Popen[str]) -> None:
    """End a process that was started here."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _collect(stream: IO[str], lines: list[str]) -> None:
    def read() -> None:
        for line in stream:
            lines.append(line.rstrip())
            del lines[:-20]

    threading.Thread(target=read, daemon=True).start()


def _ready(stream: IO[str], process: subprocess.Popen[str], errors: Sequence[str]) -> str:
    said: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in stream:
            said.put(line)
        said.put("")

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = said.get(timeout=START_S)
        except queue.Empty:
            raise CannotServe(f"the reference server was not ready within {START_S:g} s") from None
        if READY in line:
            return line.rpartition(READY)[2].strip()
        if not line:
            process.wait()
            raise CannotServe("the reference server ended at once: " + " | ".join(errors[-3:]))
