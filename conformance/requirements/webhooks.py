"""Webhooks: what the target itself calls when a run has ended."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts import TERMINAL, Run, Thread, fact, webhook_refused
from conformance.history import Remark
from conformance.requirements.base import SHOULD, Exercised, Inapplicable, Judgement, Violation, requirement


@requirement(
    "webhook.once",
    SHOULD,
    "The webhook of a run is called once when it has ended; of one that was displaced or cancelled, once at most.",
    source="the API reference: webhook, called after the run is done",
    exercised_by=("webhook-ended", "webhook-displaced"),
    breaks="only the path of success calls it; or a run is reported by whoever displaced it, and by its worker",
    advice="call it where the run's end is stored, if that changed anything",
)
def once(thread: Thread) -> Iterator[Judgement]:
    """Counts the calls that the harness received until the end."""
    if str(thread.facts.history.program["family"]).startswith("webhook-"):
        if thread.facts.history.transport != "callback":
            yield Inapplicable("the target cannot be expected to reach a webhook of the harness")
        elif any(webhook_refused(c) for c in thread.calls):
            yield Inapplicable("a run with a webhook on loopback is refused")
    for run in thread.runs.values():
        if not run.accepted or not run.create.request.get("webhook"):
            continue
        calls = [r for r in thread.facts.remarks if r.kind == "webhook" and r.detail["tag"] == run.tag]
        if len(calls) > 1:
            hooked = [fact("hooked", (r.n,), run=run.tag, at=r.at) for r in calls[:2]]
            yield Violation(f"one call of {run.tag}'s webhook", f"there were {len(calls)}", tuple(hooked))
            continue
        ended, waited = run.ended_at, _waited_in_vain(thread, run)
        if ended is not None and waited is not None and ended.status in ("success", "error"):
            unhooked = fact("unhooked", (waited.n,), run=run.tag, at=waited.at, waited=waited.detail["waited"])
            if not calls or calls[0].at >= waited.at:
                yield Violation(f"one call of {run.tag}'s webhook", unhooked.text, (run.read_fact(ended), unhooked))
                continue
        if ended is not None and (run.displacements or (calls and ended.status in TERMINAL)):
            yield Exercised(overlap=len(thread.runs) > 1)


def _waited_in_vain(thread: Thread, run: Run) -> Remark | None:
    """That the harness waited for the call in full, from when the run had been read as ended."""
    for remark in thread.facts.remarks:
        if remark.kind != "hook-waited" or remark.detail["tag"] != run.tag or remark.detail["told"]:
            continue
        if float(remark.detail["waited"]) < float(remark.detail["deadline"]):
            continue
        if run.ended_at is not None and run.ended_at.call.until + float(remark.detail["waited"]) <= remark.at:
            found: Remark = remark
            return found
    return None
