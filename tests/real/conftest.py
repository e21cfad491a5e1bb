"""The real Agent Server, `langgraph dev`, for the tests of this folder; and one check of it, shared by all workers."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conformance.probe.install import install

HERE = Path(__file__).parent
CONFIRM = HERE / "confirm"
PACKAGE = "langgraph-cli[inmem]"
VENV_VARIABLE = "DOUBLETEXT_LANGGRAPH_VENV"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "doubletext"
INSTALL_S, START_S, STOP_S, CHECK_S = 600, 90, 15, 600
ENVIRONMENT = {
    "LANGGRAPH_CLI_NO_ANALYTICS": "1",
    "LANGSMITH_TRACING": "false",
    "LANGGRAPH_NO_VERSION_CHECK": "true",
    "LANGGRAPH_METRICS_ENABLED": "false",
}


@dataclass(frozen=True)
class DevServer:
    """A running `langgraph dev` with the probe graph and the graph of the confirming scripts."""

    url: str
    python: Path  # of the server's virtual environment, which has langgraph_sdk too


@dataclass(frozen=True)
class Checked:
    """What one `doubletext check` of the server left."""

    exit_code: int
    result: dict[str, Any]
    output: str

    def requirement(self, id: str) -> dict[str, Any] | None:
        """What the result says of one requirement."""
        return next((r for r in self.result["requirements"] if r["id"] == id), None)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Only one process at a time is inside; the workers of pytest-xdist are processes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S)
    if done.returncode:
        raise OSError(f"{' '.join(map(str, command))}: {(done.stderr or done.stdout).strip()[-500:]}")


def _venv() -> Path:
    """The virtual environment with the server: the one that is named, or the cached one, brought up to date."""
    named = os.environ.get(VENV_VARIABLE)
    if named:
        venv = Path(named)
        if not (venv / "bin" / "langgraph").exists():
            pytest.fail(f"{VENV_VARIABLE}={named}: there is no bin/langgraph in it; pip install '{PACKAGE}'")
        return venv
    venv = CACHE / "langgraph-dev"
    with locked(CACHE / "langgraph-dev.lock"):
        fresh = not (venv / "bin" / "langgraph").exists()
        try:
            if fresh:
                shutil.rmtree(venv, ignore_errors=True)
                _run(sys.executable, "-m", "venv", venv)
            _run(venv / "bin" / "python", "-m", "pip", "install", "-q", "--upgrade", PACKAGE)
        except (OSError, subprocess.TimeoutExpired) as e:
            if fresh:
                shutil.rmtree(venv, ignore_errors=True)
                pytest.skip(f"{PACKAGE} cannot be installed (set {VENV_VARIABLE} to a venv that has it): {e}")
    return venv


def _project(folder: Path) -> str:
    """A LangGraph project with both graphs; returns the name of a graph that no other server has."""
    folder.mkdir()
    shutil.copy(CONFIRM / "steps_graph.py", folder)
    mark = f"mark-{secrets.token_hex(6)}"
    graphs = {"steps": "./steps_graph.py:graph", mark: "./steps_graph.py:graph"}
    (folder / "langgraph.json").write_text(json.dumps({"dependencies": ["."], "graphs": graphs}))
    install(folder)
    return mark


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serves(url: str, mark: str) -> bool:
    """Whether this very server answers: it takes another port without a word where its own is taken."""
    request = urllib.request.Request(
        f"{url}/assistants/search",
        data=json.dumps({"limit": 100}).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(f"{url}/ok", timeout=5), urllib.request.urlopen(request, timeout=5) as answer:
            return any(a["graph_id"] == mark for a in json.load(answer))
    except (OSError, ValueError, urllib.error.URLError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)  # the group that it leads, since it began a session
            process.wait(STOP_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
    process.wait()


@contextmanager
def running_dev_server(folder: Path) -> Iterator[DevServer]:
    """`langgraph dev` in a fresh project in this new folder, on a port of its own, for the duration of the block."""
    folder.mkdir(exist_ok=True)
    venv = _venv()
    mark, port = _project(folder / "project"), _free_port()
    url, log = f"http://127.0.0.1:{port}", folder / "server.log"
    command: list[str | Path] = [venv / "bin" / "langgraph", "dev", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--no-browser", "--no-reload", "--n-jobs-per-worker", "10"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder / "project",
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + START_S
        while not _serves(url, mark):
            if process.poll() is not None or time.monotonic() > end:
                state = "ended" if process.poll() is not None else f"did not answer at {url} for {START_S} s"
                pytest.fail(f"langgraph dev {state}:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.2)
        yield DevServer(url, venv / "bin" / "python")
    finally:
        _stop(process)


@pytest.fixture(scope="session")
def dev_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """`langgraph dev` for all tests of this folder."""
    with running_dev_server(tmp_path_factory.mktemp("langgraph-dev")) as server:
        yield server


@pytest.fixture(scope="session")
def checked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """The result of one `doubletext check` with all reports, made once, whichever worker comes first."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "checked"
    with locked(shared / "checked.lock"):
        if not (folder / "exit-code").exists():
            server: DevServer = request.getfixturevalue("dev_server")
            folder.mkdir(exist_ok=True)
            command = [sys.executable, "-m", "conformance.cli", "check", server.url]
            command += ["--report", "json,junit", "--report-dir", str(folder), "--no-color"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=CHECK_S)
            (folder / "output").write_text(done.stdout + done.stderr)
            (folder / "exit-code").write_text(str(done.returncode))
    output = (folder / "output").read_text()
    if not (folder / "result.json").exists():
        pytest.fail(f"the check left no result:\n{output[-3000:]}")
    result = json.loads((folder / "result.json").read_text())
    return Checked(int((folder / "exit-code").read_text()), result, output)
