"""From what ``graph.astream`` yields to the events that the API promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .jsonio import dumps
from .streams import EventLog


class Narrator:
    """Tells one run's log what the graph does, in the modes that were asked for.

    Modes have the same names on both sides but for two: ``messages-tuple`` is LangGraph's ``messages``,
    and ``messages`` is the same, accumulated into whole messages (public API documentation, Streaming).
    """

    def __init__(self, log: EventLog, modes: Sequence[str]) -> None:
        self._log = log
        self._modes = modes
        self._messages: dict[str, Any] = {}
        self.graph_modes = dict.fromkeys("messages" if mode == "messages-tuple" else mode for mode in modes)

    def begin(self, run_id: str) -> None:
        self._log.publish("metadata", dumps({"run_id": run_id, "attempt": 1}))

    def tell(self, namespace: Sequence[str], mode: str, payload: Any) -> None:
        """Publish one item; events of subgraphs carry their namespace in the name."""
        if mode != "messages":
            self._publish(mode, namespace, payload)
            return
        if "messages-tuple" in self._modes:
            self._publish("messages", namespace, payload)
        if "messages" in self._modes:
            self._tell_message(namespace, *payload)

    def _tell_message(self, namespace: Sequence[str], message: Any, metadata: Any) -> None:
        if message.id not in self._messages:
            self._publish("messages/metadata", namespace, {message.id: {"metadata": metadata}})
            self._messages[message.id] = message
        else:
            self._messages[message.id] += message
        kind = "partial" if message.type.endswith("Chunk") else "complete"
        self._publish(f"messages/{kind}", namespace, [self._messages[message.id]])

    def _publish(self, name: str, namespace: Sequence[str], payload: Any) -> None:
        self._log.publish("|".join((name, *namespace)), dumps(payload))
