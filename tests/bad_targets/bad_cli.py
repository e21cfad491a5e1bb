"""Runs the real command line in a process of its own, and servers that it can be pointed at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from conformance.embedded import PROBE, command

BOUND_S = 120.0


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: no key from outside, and what is given."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DOUBLETEXT", "COLUMNS", "PYTEST"))}
    return {**inherited, "COLUMNS": "200", **(given or {})}


def argv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "conformance.cli", *arguments]


@dataclass(frozen=True)
class Said:
    """What a command printed, how it ended, how long it took, and what it wrote."""

    code: int
    out: str
    err: str
    seconds: float
    folder: Path

    @property
    def text(self) -> str:
        return self.out + self.err

    def everything(self) -> str:
        """All that can be read afterwards: the output and every file."""
        files = [f.read_text() for f in sorted(self.folder.rglob("*")) if f.is_file()]
        return "\n".join([self.text, *files])

    def result(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.folder / "doubletext-report" / "result.json").read_text())
        return value

    def verdicts(self) -> dict[str, str | None]:
        return {r["id"]: r["verdict"] for r in self.result()["requirements"]}


class Running:
    """A ``doubletext check`` under way."""

    def __init__(self, folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._began = time.monotonic()
        self.process = subprocess.Popen(
            argv("check", *arguments),
            cwd=folder,
            env=environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def histories(self) -> int:
        return len(list((self.folder / "doubletext-report" / "histories").glob("*.jsonl")))

    def until(self, seen: Callable[[], bool]) -> None:
        """Return when ``seen()``; fails if the command ends first, or the bound is reached."""
        while not seen():
            assert self.process.poll() is None, f"it ended too early: {self.process.communicate()}"
            assert time.monotonic() - self._began < BOUND_S, "not seen in time"
            time.sleep(0.005)

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> Said:
        """Wait for the end, at most the bound."""
        try:
            out, err = self.process.communicate(timeout=max(1.0, BOUND_S - (time.monotonic() - self._began)))
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError(f"the command hung; it had printed {out}{err}") from None
        return Said(self.process.returncode, out, err, time.monotonic() - self._began, self.folder)


def check(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Said:
    """One whole ``doubletext check``."""
    return Running(folder, *arguments, env=env).end()


@dataclass(frozen=True)
class Reference:
    """A reference server, in a process that a test may treat badly."""

    url: str
    process: subprocess.Popen[str]
    headers: Mapping[str, str]

    def threads(self) -> list[dict[str, Any]]:
        answer = httpx.post(f"{self.url}/threads/search", json={"limit": 1000}, headers=dict(self.headers), timeout=10)
        found: list[dict[str, Any]] = answer.json()
        return found

    def signal(self, number: int) -> None:
        self.process.send_signal(number)


@contextmanager
def reference(*arguments: str, graph: str = "doubletext", key: str | None = None) -> Iterator[Reference]:
    """Run the reference server with the probe graph under the name ``graph``."""
    line = command("--port", "0", *arguments, *(["--api-key", key] if key else []))
    line = [part.replace(f"doubletext={PROBE}", f"{graph}={PROBE}") for part in line]
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True, env=environment()
    )
    try:
        yield Reference(_url(process), process, {"x-api-key": key} if key else {})
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def _url(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    watchdog = threading.Timer(BOUND_S, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            if "listening on " in line:
                return line.rpartition("listening on ")[2].strip()
    finally:
        watchdog.cancel()
    raise AssertionError("the reference server did not start")


def clear(said: Said, code: int, *parts: str) -> None:
    """Assert that a command failed as it should: by its code, in words, without a traceback."""
    assert said.code == code, said.text
    assert "Traceback" not in said.text, said.text
    for part in parts:
        assert part in said.text, f"{part!r} is missing in: {said.text}"


def without(said: Said, secrets: Sequence[str]) -> None:
    """Assert that none of the secrets can be read anywhere."""
    everything = said.everything()
    for secret in secrets:
        at = everything.find(secret)
        assert at < 0, f"{secret!r} is shown: …{everything[max(0, at - 200) : at + 100]}…"
