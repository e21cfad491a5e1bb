"""Defects that only show while a run is inside a subgraph, which has checkpoints of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.multitask import Ending, Failure
from reference_impl.storage import Run, Thread

from .registry import Defective, defect

if TYPE_CHECKING:
    from reference_impl.checkpoints import Lineage, Saved


def newest(lineage: Lineage) -> Saved | None:
    """The newest checkpoint of any namespace."""
    return next(reversed(lineage.saved.values()), None)


@defect(
    must_fail=["displaced.stops", "run.final-when-read", "history.explainable"],
    may_fail=[
        "interrupt.builds-on",
        "rollback.reverts",
        "rollback.lineage",
        "rollback.no-orphans",
        "run.terminal-is-final",
        "checkpoint.lineage",
        "thread.one-at-a-time",
    ],
)
class SubgraphsAreNotStopped(Defective):
    """A run that is displaced inside a subgraph ends at once on paper, but its code is not told, and writes on."""

    def stop(self, run: Run) -> None:
        saved = newest(self.checkpoints.lineage(run.thread.thread_id))
        if saved is None or saved.run_id != run.run_id or not saved.key[0]:
            super().stop(run)

    def finish(self, run: Run, ending: Ending, output: bytes, failure: Failure | None) -> None:
        if run.inflight:
            super().finish(run, ending, output, failure)


@defect(
    must_fail=["interrupt.keeps-progress", "history.explainable"],
    may_fail=["interrupt.builds-on", "enqueue.conserves-input", "thread.no-lost-update", "checkpoint.lineage"],
)
class SubgraphsStateIsTheThreads(Defective):
    """A run starts from the newest checkpoint of the thread, be it one that an interrupted subgraph left."""

    def next_run(self, thread: Thread) -> Run | None:
        run = super().next_run(thread)
        lineage = self.checkpoints.lineage(thread.thread_id)
        if run is not None and (saved := newest(lineage)) is not None and saved.key[0]:
            key = ("", saved.key[1])
            lineage.saved[key] = replace(saved, key=key)
        return run
