"""The reference server as an ASGI application, with the probe graph, for whatever serves or drives one.

``reference_impl.asgi:app``; a broken one by the name of its defect, as in ``reference_impl.asgi:queue-of-one``.
"""

from __future__ import annotations

from fastapi import FastAPI

from . import defects
from .app import create_app
from .serve import load_graph

PROBE = "conformance.probe.graph:graph"


def _app(defect: str | None = None) -> FastAPI:
    multitask = None if defect is None else defects.find(defect).multitask()
    return create_app({"doubletext": load_graph(PROBE)}, multitask=multitask, defect=defect)


app = _app()


def __getattr__(name: str) -> FastAPI:
    try:
        return _app(name)
    except KeyError:
        raise AttributeError(f"there is no defect {name!r}") from None
