"""Runs the server: graphs by name, uvicorn around the application, a prompt end."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import uvicorn
from fastapi import FastAPI
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from .worker import Graph


class BadGraph(Exception):
    """A ``--graph`` names something that is not there, or not a graph."""


def load_graph(target: str) -> Graph:
    """Import a graph from ``path/to/file.py:attribute`` or ``package.module:attribute``.

    Raises:
        BadGraph: with a sentence that says what is wrong.
    """
    place, colon, attribute = target.rpartition(":")
    if not colon:
        raise BadGraph(f"{target!r}: expected FILE.py:NAME or MODULE:NAME")
    try:
        module = _load_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except (ImportError, OSError) as error:
        raise BadGraph(f"{target!r}: {error}") from error
    found = getattr(module, attribute, None)
    if isinstance(found, StateGraph):
        found = found.compile()
    if not isinstance(found, Pregel):
        raise BadGraph(f"{target!r}: {place} has no graph {attribute!r}")
    return found


def _load_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"served_{path.stem}", path.resolve())
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # the annotations of the graph's state are looked up there
    spec.loader.exec_module(module)
    return module


class Server(uvicorn.Server):
    """Uvicorn that says where it listens, and ends the runs before it waits for connections to close."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        config = uvicorn.Config(
            app, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=2
        )
        super().__init__(config)
        self._app = app
        self.port = port

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.port = self.servers[0].sockets[0].getsockname()[1]
            host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
            print(f"doubletext-reference listening on http://{host}:{self.port}", flush=True)

    async def shutdown(self, sockets: Any = None) -> None:
        await self._app.state.house.close()
        await super().shutdown(sockets)
