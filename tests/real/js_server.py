"""The real JavaScript server, installed by npm, in a fresh project on a port of its own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conformance.probe.install import install

from .conftest import CACHE, ENVIRONMENT, INSTALL_S, START_S, _free_port, _serves, _stop, locked

JS = Path(__file__).parent / "js"
NAMED = "DOUBLETEXT_NODE_MODULES"  # names a node_modules that has what js/package.json wants
CLI = "@langchain/langgraph-cli/dist/cli/cli.mjs"


def node_modules() -> Path:
    """The packages of js/package.json: those that are named, or the cached ones. Skips where there is no npm."""
    if named := os.environ.get(NAMED):
        if not (Path(named) / CLI).exists():
            pytest.fail(f"{NAMED}={named}: there is no {CLI} in it; npm i --legacy-peer-deps with {JS}/package.json")
        return Path(named)
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip(f"the JavaScript server needs node and npm, or {NAMED}")
    folder = CACHE / "langgraph-js"
    with locked(CACHE / "langgraph-js.lock"):
        wanted = (JS / "package.json").read_text()
        have = folder / "package.json"
        if not have.exists() or have.read_text() != wanted or not (folder / "node_modules" / CLI).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            have.write_text(wanted)
            command = ["npm", "i", "--legacy-peer-deps", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S)
            if done.returncode:
                shutil.rmtree(folder, ignore_errors=True)
                pytest.skip(f"npm cannot install the JavaScript server: {done.stderr.strip()[-500:]}")
    return folder / "node_modules"


def project(folder: Path, modules: Path) -> str:
    """A project with the probe and the graph of the confirming scripts; returns a graph that no other server has."""
    folder.mkdir()
    (folder / "package.json").write_text('{"type": "module", "private": true}\n')
    (folder / "node_modules").symlink_to(modules)
    shutil.copy(JS / "steps_graph.ts", folder)
    mark = f"mark-{secrets.token_hex(6)}"
    graphs = {"steps": "./steps_graph.ts:graph", mark: "./steps_graph.ts:graph"}
    (folder / "langgraph.json").write_text(json.dumps({"node_version": "20", "graphs": graphs}))
    install(folder, "js")
    return mark


@contextmanager
def serving(folder: Path, modules: Path) -> Iterator[str]:
    """The server, until the block is left; yields its URL."""
    mark, port = project(folder / "project", modules), _free_port()
    url, log = f"http://127.0.0.1:{port}", folder / "server.log"
    command = ["node", str(modules / CLI), "dev", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--no-browser", "--no-reload", "-n", "10", "-c", "langgraph.json"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder / "project",
            env={**os.environ, **ENVIRONMENT, "BROWSER": "none", "LANGCHAIN_TRACING_V2": "false"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + START_S
        while not _serves(url, mark):
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"the JavaScript server did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.2)
        yield url
    finally:
        _stop(process)
