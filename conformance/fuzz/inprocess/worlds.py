"""For who wants programs executed in worlds of their own: the process that forks, seen from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

import anyio
import anyio.to_thread

IMPORT_S = 120.0
ANSWER_S = 150.0  # a little longer than the process itself allows an execution
_CHILD = (
    "import sys; spec, *sys.path[:] = sys.argv[1:]; from conformance.fuzz.inprocess.forking import main; main(spec)"
)


class WorldEnded(Exception):
    """There is no world to execute anything in: the server cannot be imported, or its process ended."""


class Worlds:
    """Executes requests one after another, each in a fork of a process that has imported the application ``spec``."""

    def __init__(self, spec: str) -> None:
        self._spec = spec
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._turn = anyio.Lock()

    async def ask(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """What became of a request.

        Raises:
            WorldEnded: there is no answer.
        """
        async with self._turn:
            try:
                return await anyio.to_thread.run_sync(self._ask, value, abandon_on_cancel=True)
            except anyio.get_cancelled_exc_class():
                self.close()  # the thread that waits for the answer gets its end
                raise

    def close(self) -> None:
        """End the process, and what it executes."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _ask(self, value: Mapping[str, Any]) -> dict[str, Any]:
        process = self._open()
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.write(json.dumps(value).encode() + b"\n")
            process.stdin.flush()
        return self._answer(process, ANSWER_S)

    def _open(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, self._spec, *sys.path],
                stdin=subprocess.PIPE,  # closes with this process, however it ends
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,  # Ctrl-C is for who started it
                env={**os.environ, "PYTHONHASHSEED": "0", "LANGSMITH_TRACING": "false"},
            )
            said = self._answer(self._process, IMPORT_S)
            if "error" in said:
                self.close()
                raise WorldEnded(said["error"])
        return self._process

    def _answer(self, process: subprocess.Popen[bytes], bound: float) -> dict[str, Any]:
        assert process.stdout is not None
        late = threading.Timer(bound, self.close)
        late.start()
        line = process.stdout.readline()
        late.cancel()
        if not line:
            self.close()
            assert self._errors is not None
            self._errors.seek(0)
            last = self._errors.read().decode("utf-8", "replace").strip().splitlines()[-1:]
            raise WorldEnded(f"the process of {self._spec} ended: {last[0][:300] if last else 'it said nothing'}")
        answer: dict[str, Any] = json.loads(line)
        return answer
