"""Interventions on a thread's lineage, as the defects need them and no correct server does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reference_impl.checkpoints import CheckpointStore, Lineage, Saved


def before(lineage: Lineage, run_id: str) -> Saved | None:
    """The checkpoint that the run built on; None if the thread was empty."""
    segment = lineage.of_run(run_id)
    return lineage.saved.get(("", segment[0].parent_id)) if segment and segment[0].parent_id else None


def rewind(lineage: Lineage, saved: Saved) -> None:
    """Make a checkpoint the head again, leaving the newer ones where they are."""
    del lineage.saved[saved.key]
    lineage.saved[saved.key] = saved


def put_on_top(
    checkpoints: CheckpointStore, thread_id: str, saved: Saved, *, parent_id: str | None, **metadata: Any
) -> None:
    """Make a copy of a checkpoint the head, as the child of ``parent_id``."""
    from langgraph.checkpoint.base.id import uuid6

    key = ("", str(uuid6()))
    body = checkpoints.serde.loads_typed(saved.body) | {"id": key[1], "ts": datetime.now(UTC).isoformat()}
    checkpoints.lineage(thread_id).saved[key] = replace(
        saved,
        key=key,
        parent_id=parent_id,
        run_id=metadata.get("run_id"),
        body=checkpoints.serde.dumps_typed(body),
        metadata={**saved.metadata, **metadata},
    )


def keep_channel(lineage: Lineage, saved: Saved, channel: str, source: Saved) -> None:
    """Replace the value of one channel in a checkpoint by the one that another checkpoint has."""
    if channel in source.values:
        values = {**saved.values, channel: source.values[channel]}
        lineage.saved[saved.key] = replace(saved, values=values)
