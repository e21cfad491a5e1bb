"""What two defects share: a run that executes in the name of another one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.multitask import Ending, Failure
from reference_impl.storage import Run

from .registry import Defective

if TYPE_CHECKING:
    from reference_impl.checkpoints import Saved


class ExecutesInAnothersName(Defective):
    """Runs that have a host execute, and write, under the host's id."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed)
        self.host: dict[Run, Run] = {}
        self._disguised: dict[Run, Saved] = {}

    def writes_as(self, run: Run) -> Run:
        return self.host.get(run, run)

    def begin(self, run: Run) -> None:
        super().begin(run)
        lineage = self.checkpoints.lineage(run.thread.thread_id)
        if run in self.host and (head := lineage.head()):
            self.checkpoints.entitle(self.host[run].run_id)
            # LangGraph takes a run with the id of the last checkpoint for that run's retry, and ignores
            # its input. It must not recognise it.
            self._disguised[run] = head
            lineage.saved[head.key] = replace(head, metadata={**head.metadata, "run_id": ""})

    def finish(self, run: Run, ending: Ending, output: bytes, failure: Failure | None) -> None:
        super().finish(run, ending, output, failure)
        if head := self._disguised.pop(run, None):
            self.checkpoints.revoke(self.host[run].run_id)
            self.checkpoints.lineage(run.thread.thread_id).saved[head.key] = head
