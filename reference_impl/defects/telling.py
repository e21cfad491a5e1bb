"""Defects of what a server tells of its own accord, and of what it should have kept to itself."""

from __future__ import annotations

from dataclasses import replace

from reference_impl.multitask import Endpoint
from reference_impl.storage import Run, RunSpec, RunStatus, Thread

from .registry import Defective, defect


@defect(must_fail=["webhook.once"])
class WebhookOnlyOfSuccess(Defective):
    """The webhook of a run that failed is not called."""

    def notify(self, run: Run) -> None:
        if run.status is not RunStatus.ERROR:
            super().notify(run)


@defect(must_fail=["webhook.once"])
class WebhookCalledTwice(Defective):
    """The webhook is called by whoever ends the run, and again by its worker."""

    def notify(self, run: Run) -> None:
        super().notify(run)
        super().notify(run)


@defect(must_fail=["webhook.once"])
class WebhookOnlyOfBackgroundRuns(Defective):
    """The webhook of a run whose client waits for it, or reads its stream, is forgotten."""

    async def accept(self, thread: Thread, spec: RunSpec, endpoint: Endpoint) -> Run:
        return await super().accept(thread, spec if endpoint == "runs" else replace(spec, webhook=None), endpoint)
