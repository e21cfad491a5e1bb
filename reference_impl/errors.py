"""What the server refuses, as exceptions: each knows its HTTP status and says why in one sentence."""

from __future__ import annotations

from typing import Any, ClassVar


class ApiError(Exception):
    """A request that is answered with an error.

    ``status`` is the HTTP status; ``body`` the JSON body, ``None`` for an empty one.
    """

    default_status: ClassVar[int] = 500

    def __init__(self, detail: str, *, status: int | None = None, empty: bool = False) -> None:
        super().__init__(detail)
        self.status = self.default_status if status is None else status
        self.body: dict[str, Any] | None = None if empty else {"detail": detail}


class NotFound(ApiError):
    """The thread, run, assistant or item does not exist (any more)."""

    default_status = 404


class Conflict(ApiError):
    """The thread's inflight run is the reason why this cannot be done now."""

    default_status = 409


class BadInput(ApiError):
    """The request is well-formed JSON, but means nothing that can be done."""

    default_status = 422


class WriteRefused(Exception):
    """A run that is no longer entitled to write tried to: it was displaced, cancelled, deleted or is over."""
