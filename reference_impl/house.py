"""What the routes share: one value that holds the parts of a running server."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from fastapi import Request
from langgraph.store.base import BaseStore

from .checkpoints import CheckpointStore
from .errors import BadInput, NotFound
from .multitask import Multitask
from .storage import Storage, Thread
from .worker import Graph, Worker

ASSISTANT_NAMESPACE: Final = uuid.UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")
"""A graph's default assistant has the id uuid5(this, graph id), as on the Agent Server."""


@dataclass(frozen=True, slots=True)
class Assistant:
    """The default assistant of a graph; there are no others here."""

    assistant_id: str
    graph_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """One server's parts."""

    storage: Storage
    checkpoints: CheckpointStore
    multitask: Multitask
    worker: Worker
    graphs: Mapping[str, Graph]
    store: BaseStore
    started_at: datetime

    async def close(self) -> None:
        """Stop what executes, and release everybody who waits for a run."""
        for thread in self.storage.threads.values():
            for run in thread.inflight():
                run.events.close()
        await self.worker.close()

    def assistants(self) -> list[Assistant]:
        return [Assistant(str(uuid.uuid5(ASSISTANT_NAMESPACE, name)), name) for name in self.graphs]

    def assistant(self, assistant_id: str) -> Assistant:
        """Find an assistant by its id, or by the id of its graph.

        Raises:
            NotFound: there is none.
        """
        for assistant in self.assistants():
            if assistant_id in (assistant.assistant_id, assistant.graph_id):
                return assistant
        raise NotFound(f"Assistant {assistant_id} not found.")

    def graph_of(self, thread: Thread) -> Graph | None:
        """The graph whose state the thread holds; None when no run was ever accepted on it."""
        return self.graphs[thread.graph_id] if thread.graph_id else None

    def graph_to_update(self, thread: Thread) -> Graph:
        """The graph that takes a client's state update; before the first run it must be unmistakable.

        Raises:
            BadInput: several graphs are served, and the thread does not say which is meant.
        """
        named = str(thread.graph_id or thread.metadata.get("graph_id"))
        if named in self.graphs:
            return self.graphs[named]
        if len(self.graphs) != 1:
            raise BadInput("The thread has no graph yet: create it with metadata.graph_id.")
        return next(iter(self.graphs.values()))

    def describe(self, assistant: Assistant) -> dict[str, Any]:
        """The API's ``Assistant``."""
        return {
            "assistant_id": assistant.assistant_id,
            "graph_id": assistant.graph_id,
            "name": assistant.graph_id,
            "description": None,
            "config": {},
            "context": {},
            "metadata": {"created_by": "system"},
            "version": 1,
            "created_at": self.started_at,
            "updated_at": self.started_at,
        }


def house_of(request: Request) -> House:
    return cast("House", request.app.state.house)
