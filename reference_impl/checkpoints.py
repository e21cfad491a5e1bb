"""The checkpoint saver: each thread's lineage, in memory, behind a fence.

LangGraph writes a checkpoint after every superstep, and the *pending writes* of single tasks in
between (``langgraph.checkpoint.base``). Two things are added to that contract here:

*The fence.* A run writes only while it is entitled to. Whatever code of a displaced, cancelled or
deleted run still executes, its writes are refused with :class:`WriteRefused`.

*Runs as segments.* Checkpoint and pending write alike know the run that wrote them, so that a rollback
can take exactly that away. Pending writes are a journal for this reason: what a run wrote over becomes
visible again when the run is undone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    PendingWrite,
    get_checkpoint_id,
    get_checkpoint_metadata,
    writes_sort_key,
)

from .errors import WriteRefused

Blob = tuple[str, bytes]
"""A value as the serializer wrote it: its kind, and the bytes. Immutable, so checkpoints can share it."""
Key = tuple[str, str]
"""Checkpoint namespace (empty for the graph itself, else a subgraph's path) and checkpoint id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """One checkpoint."""

    key: Key
    parent_id: str | None
    run_id: str | None
    """The run that wrote it; None for a client's state update."""
    body: Blob
    """The checkpoint without its channel values."""
    values: dict[str, Blob]
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One pending write: what a task wrote in a superstep that is not over yet."""

    run_id: str | None
    task_id: str
    task_path: str
    index: int
    """Position among the task's writes; negative for the special channels of ``WRITES_IDX_MAP``."""
    channel: str
    value: Blob


@dataclass(slots=True)
class Lineage:
    """All checkpoints of one thread, oldest first, and the journal of pending writes on each of them."""

    saved: dict[Key, Saved] = field(default_factory=dict)
    writes: dict[Key, list[Write]] = field(default_factory=dict)
    told: tuple[object, bytes] | None = None
    """The last answer to a reader of the whole history, and what it was made from."""

    def content(self) -> object:
        """All that there is, as a value: equal as long as nothing has changed."""
        return tuple(self.saved.values()), {key: tuple(writes) for key, writes in self.writes.items()}

    def head(self, ns: str = "") -> Saved | None:
        """The newest checkpoint: what the next run builds on."""
        return next((s for s in reversed(self.saved.values()) if s.key[0] == ns), None)

    def of_run(self, run_id: str) -> list[Saved]:
        """The run's segment, oldest first."""
        return [saved for saved in self.saved.values() if saved.run_id == run_id]

    def remove(self, key: Key) -> None:
        self.saved.pop(key, None)
        self.writes.pop(key, None)

    def drop_writes(self, run_id: str) -> None:
        for key, writes in self.writes.items():
            self.writes[key] = [write for write in writes if write.run_id != run_id]

    def pending(self, key: Key) -> list[Write]:
        """The writes in effect: of equal ones the first counts, of special ones the last."""
        effective: dict[tuple[str, int], Write] = {}
        for write in self.writes.get(key, ()):
            if write.index < 0:
                effective[write.task_id, write.index] = write
            else:
                effective.setdefault((write.task_id, write.index), write)
        return sorted(effective.values(), key=lambda w: writes_sort_key(w.task_path, w.task_id, w.index))


class CheckpointStore(BaseCheckpointSaver[int]):
    """LangGraph's checkpointer for all threads. Used from the event loop only, and never awaits."""

    def __init__(self) -> None:
        super().__init__()
        self._lineages: dict[str, Lineage] = {}
        self._entitled: set[str] = set()

    # --- the fence, and runs as segments ------------------------------------------------------------

    def entitle(self, run_id: str) -> None:
        """Let this run write, until revoked."""
        self._entitled.add(run_id)

    def revoke(self, run_id: str) -> None:
        """Refuse all further writes of this run. Idempotent."""
        self._entitled.discard(run_id)

    def lineage(self, thread_id: str) -> Lineage:
        return self._lineages.setdefault(thread_id, Lineage())

    def drop_unfinished(self, thread_id: str, run_id: str) -> None:
        """Drop the run's pending writes: a superstep counts as a whole, when its checkpoint is saved.

        Otherwise the state of an interrupted thread would show a superstep (LangGraph applies pending
        writes when it reads the current state) that the next input silently discards.
        """
        self.lineage(thread_id).drop_writes(run_id)

    def delete_run(self, thread_id: str, run_id: str) -> None:
        """Take a run's segment off its thread, with the pending writes that it left on earlier ones."""
        lineage = self.lineage(thread_id)
        for saved in lineage.of_run(run_id):
            lineage.remove(saved.key)
        lineage.drop_writes(run_id)

    def delete_thread(self, thread_id: str) -> None:
        self._lineages.pop(thread_id, None)

    # --- LangGraph's contract -------------------------------------------------------------------------

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint as the child of the one that ``config`` names.

        Raises:
            WriteRefused: the run is not entitled to write.
        """
        run_id = self._writer(config)
        place = config["configurable"]
        ns, parent_id = place.get("checkpoint_ns", ""), place.get("checkpoint_id")
        lineage = self.lineage(place["thread_id"])
        parent = lineage.saved.get((ns, parent_id)) if parent_id else None
        inherited = parent.values if parent else {}
        values: dict[str, Blob] = {}
        for name, value in checkpoint["channel_values"].items():
            shared = None if name in new_versions else inherited.get(name)
            values[name] = shared or self.serde.dumps_typed(value)
        key = (ns, checkpoint["id"])
        lineage.saved[key] = Saved(
            key=key,
            parent_id=parent_id,
            run_id=run_id,
            body=self.serde.dumps_typed({**checkpoint, "channel_values": {}}),
            values=values,
            metadata={**get_checkpoint_metadata(config, metadata), "thread_id": place["thread_id"]},
        )
        return _config(place["thread_id"], key)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Save what a task wrote, on the checkpoint that its superstep started from.

        Raises:
            WriteRefused: the run is not entitled to write.
        """
        run_id = self._writer(config)
        place = config["configurable"]
        key = (place.get("checkpoint_ns", ""), place["checkpoint_id"])
        journal = self.lineage(place["thread_id"]).writes.setdefault(key, [])
        for position, (channel, value) in enumerate(writes):
            journal.append(
                Write(
                    run_id=run_id,
                    task_id=task_id,
                    task_path=task_path,
                    index=WRITES_IDX_MAP.get(channel, position),
                    channel=channel,
                    value=self.serde.dumps_typed(value),
                )
            )

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that ``config`` names, else the newest one of its thread; None if there is none."""
        place = config["configurable"]
        lineage = self._lineages.get(place["thread_id"])
        if lineage is None:
            return None
        ns = place.get("checkpoint_ns", "")
        checkpoint_id = get_checkpoint_id(config)
        saved = lineage.saved.get((ns, checkpoint_id)) if checkpoint_id else lineage.head(ns)
        return self._tuple(place["thread_id"], lineage, saved) if saved else None

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """The checkpoints of one thread (of all, without ``config``), newest first."""
        place = config["configurable"] if config else {}
        threads = [place["thread_id"]] if config else [*self._lineages]
        bound = get_checkpoint_id(before) if before else None
        for thread_id in threads:
            lineage = self._lineages.get(thread_id, Lineage())
            for saved in reversed([*lineage.saved.values()]):
                ns, checkpoint_id = saved.key
                if limit is not None and limit <= 0:
                    return
                if ns != place.get("checkpoint_ns", ns) or (bound and checkpoint_id >= bound):
                    continue
                if checkpoint_id != place.get("checkpoint_id", checkpoint_id):
                    continue
                if any(saved.metadata.get(name) != value for name, value in (filter or {}).items()):
                    continue
                limit = None if limit is None else limit - 1
                yield self._tuple(thread_id, lineage, saved)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return self.put(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self.put_writes(config, writes, task_id, task_path)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self.get_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        for found in self.list(config, filter=filter, before=before, limit=limit):
            yield found

    async def adelete_thread(self, thread_id: str) -> None:
        self.delete_thread(thread_id)

    def _writer(self, config: RunnableConfig) -> str | None:
        """The run that wants to write, if it may; None is a client's state update, which the routes guard."""
        run_id = cast("str | None", config["configurable"].get("run_id"))
        if run_id is not None and run_id not in self._entitled:
            raise WriteRefused(f"run {run_id} may not write any more")
        return run_id

    def _tuple(self, thread_id: str, lineage: Lineage, saved: Saved) -> CheckpointTuple:
        load = self.serde.loads_typed
        pending: list[PendingWrite] = [
            (write.task_id, write.channel, load(write.value)) for write in lineage.pending(saved.key)
        ]
        checkpoint = cast("Checkpoint", load(saved.body))
        checkpoint["channel_values"] = {name: load(blob) for name, blob in saved.values.items()}
        return CheckpointTuple(
            config=_config(thread_id, saved.key),
            checkpoint=checkpoint,
            metadata=cast("CheckpointMetadata", dict(saved.metadata)),
            parent_config=_config(thread_id, (saved.key[0], saved.parent_id)) if saved.parent_id else None,
            pending_writes=pending,
        )


def _config(thread_id: str, key: Key) -> RunnableConfig:
    ns, checkpoint_id = key
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ns, "checkpoint_id": checkpoint_id}}
