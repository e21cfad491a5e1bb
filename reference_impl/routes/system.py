"""``/ok`` and ``/info``: is it there, and what is it."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import Request

from reference_impl import VERSION

from .responses import Json
from .router import Router

router = Router(tags=["System"])


@router.get("/ok", response_model=None)
async def ok() -> Json:
    """Whether the server is up. Never asks for an API key."""
    return Json({"ok": True})


@router.get("/info", response_model=None)
async def info(request: Request) -> Json:
    """The server's name and version, and the features that it has."""
    return Json(
        {
            "server": "doubletext-reference",
            "version": VERSION,
            "langgraph_py_version": version("langgraph"),
            "flags": {"assistants": True, "crons": False, "langsmith": False, "webhooks": False},
            "defect": request.app.state.defect,
        }
    )
