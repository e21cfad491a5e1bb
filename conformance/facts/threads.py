"""One thread: its runs and what was read of its state; and the facts of a whole history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from conformance.displacing import spares
from conformance.facts.claims import Fact, fact
from conformance.facts.runs import Instant, Run, precedes
from conformance.facts.words import (
    BY_CLIENTS,
    HARMLESS,
    HISTORY_PAGE,
    INFLIGHT,
    MUTATING,
    NEVER,
    Entry,
    Kind,
    digest,
    no_such_endpoint,
    parse_log,
    shown,
    webhook_refused,
)
from conformance.history import OLDER, WITHOUT_PROBE, Call, Epilogue, GateOpened, History, Remark, Told

LEFT_IN = {
    "list_runs": "the list of runs",
    "get_run": "the run itself",
    "get_state": "the state",
    "get_history": "the history",
}


def named_in(call: Call) -> set[str]:
    """The tags of the runs that a run's read, a list of runs, a state or a history names."""
    if call.op == "list_runs":
        return {row["tag"] for row in call.answer}
    if call.op == "get_run":
        return {str(call.tag)}
    found: set[str] = set()
    for state in call.answer if call.op == "get_history" else [call.answer]:
        found |= {state["tag"], *(t for t, _ in parse_log(state["log"])), *(m[2] for m in state["messages"])}
    return found


class Thread:
    """One thread of a history."""

    def __init__(self, facts: Facts, name: str) -> None:
        self.facts = facts
        self.name = name
        self.calls: list[Call] = [c for c in facts.calls if c.thread == name]
        self.lists: list[Call] = [c for c in self.calls if c.op == "list_runs" and c.ok and not c.error]
        self.runs: dict[str, Run] = {}
        for call in self.calls:
            if call.op != "create" or call.tag is None or webhook_refused(call):
                continue
            if not no_such_endpoint(call, self.calls, facts.told):
                self.runs[call.tag] = Run(self, call)
        self.epilogue: Epilogue | None = next((e for e in facts.history.of(Epilogue) if e.thread == name), None)

    @cached_property
    def special(self) -> bool:
        """Whether runs are scheduled on it, or ask people: what is demanded of others does not hold for these."""
        return self.asks or any(run.scheduled for run in self.runs.values())

    @cached_property
    def asks(self) -> bool:
        """Whether runs ask people, or bring their answers."""
        asks = any(step["op"] == "ask" for run in self.runs.values() for step in run.script)
        return asks or any("answers" in run.create.request for run in self.runs.values())

    @cached_property
    def settled(self) -> bool:
        """Everything on it ended within the deadline; a create whose answer was lost had not arrived only then."""
        end = self.epilogue
        if end is None or not end.settled:
            return False
        return not any(end.at < r.effect_by < NEVER for r in self.runs.values() if not r.refused)

    def effect_of(self, call: Call) -> Instant:
        """By when the call had certainly taken effect, and what shows it."""
        if call.op == "create" and call.tag in self.runs and self.runs[call.tag].accepted:
            return self.runs[call.tag].effect
        return Instant(call.until, call.n)

    def effect_by(self, call: Call) -> float:
        """The instant by which the call had certainly taken effect."""
        return self.effect_of(call).at

    def default_displaces(self, call: Call) -> Kind | None:
        """What a create without strategy may do to others: whatever it did."""
        for run in self.runs.values():
            if run.create.sent < call.until and run.tag != call.tag:
                final = [c for c in self.calls if c.op == "get_run" and c.tag == run.tag and c.phase == "final"]
                if any(c.status == 404 for c in final):
                    return "rollback"
                if any(c.ok and not c.error and c.answer["status"] == "interrupted" for c in final):
                    return "interrupt"
        return None

    # --- updates by clients -------------------------------------------------------------------------

    @cached_property
    def updates(self) -> dict[str, Call]:
        """The updates of its state that were sent, by the tag of what they write."""
        return {str(c.tag): c for c in self.calls if c.op == "update_state"}

    def updated_fact(self, call: Call) -> Fact:
        """An update of the state, as a fact."""
        times = {"sent": call.sent, "at": call.until}
        return fact("updated", (call.n,), update=str(call.tag), answer=shown(call), **times)

    # --- deletions ---------------------------------------------------------------------------------

    @cached_property
    def deletes(self) -> list[Call]:
        """The deletions of single runs that were accepted."""
        return [c for c in self.calls if c.op == "delete" and c.ok and not c.error and c.tag in self.runs]

    def deleted_fact(self, call: Call) -> Fact:
        """The deletion of a run, as a fact."""
        times = {"sent": call.sent, "at": call.until}
        return fact("deleted", (call.n,), run=str(call.tag), answer=shown(call), **times)

    @cached_property
    def renewal(self) -> tuple[Call, Call] | None:
        """Its deletion and the call that created it again under its id, if both were accepted."""
        done = [c for c in self.calls if c.ok and not c.error]
        gone = next((c for c in done if c.op == "delete_thread"), None)
        again = next((c for c in done if c.op == "create_thread" and gone is not None and c.sent >= gone.until), None)
        return (gone, again) if gone is not None and again is not None else None

    def took_away(self, run: Run) -> bool:
        """Whether the thread was, or may have been, deleted with this run."""
        deletions = (c for c in self.calls if c.op == "delete_thread" and (c.ok or not 400 <= (c.status or 0) < 500))
        return any(run.create.sent < c.until for c in deletions)

    def may_be_gone(self, call: Call) -> bool:
        """Whether the thread may not have been there when the call took effect: it was being deleted, or had been."""
        again = [
            c.until for c in self.calls if c.op == "create_thread" and c.ok and not c.error and c.until < call.sent
        ]
        return any(
            c.op == "delete_thread" and c.sent < call.until and max(again, default=-1) < c.until for c in self.calls
        )

    def renewed_fact(self) -> Fact:
        """That it was deleted and created again."""
        assert self.renewal is not None
        gone, again = self.renewal
        times = {"sent": gone.sent, "at": gone.until, "again": again.sent, "there": again.until}
        return fact("renewed", (gone.n, again.n), thread=self.name, **times)

    def leftovers(self) -> Iterator[tuple[Run, Call, Fact]]:
        """What is read of it after it was created again, and names a run that it had before: one a read."""
        if self.renewal is None:
            return
        gone, again = self.renewal
        for call in self.calls:
            if call.sent < again.until or not call.ok or call.error or call.op not in LEFT_IN:
                continue
            for run in self.runs.values():
                if run.create.until <= gone.sent and run.tag in named_in(call):
                    times = {"sent": call.sent, "at": call.until, "before": gone.sent}
                    cites, what = (call.n, run.create.n, gone.n), LEFT_IN[call.op]
                    yield run, call, fact("leftover", cites, thread=self.name, run=run.tag, what=what, **times)
                    break

    # --- its status ---------------------------------------------------------------------------------

    @cached_property
    def thread_reads(self) -> list[Call]:
        """The reads of the thread itself that were answered."""
        return [c for c in self.calls if c.op == "get_thread" and c.ok and not c.error]

    def held_throughout(self, read: Call) -> Fact | None:
        """That some run was inflight during a whole read, because a gate held it; None if that is not certain."""
        for run in self.runs.values():
            if run.held_over(read) and run.held_at(read.until):
                last = run.last_release
                assert last is not None
                times = {"from_": read.sent, "to": read.until, "since": run.effect_by, "until": last.at}
                cites = (run.create.n, run.effect.n, read.n, last.n)
                return fact("throughout", cites, run=run.tag, thread=self.name, **times)
        return None

    def all_over(self, instant: float = NEVER) -> bool:
        """Whether every run was read as ended by then, or deleted, and no create is in doubt."""
        deleted = {c.tag for c in self.deletes if c.until <= instant}
        over = (
            r.accepted and (r.ended_before(instant) or r.tag in deleted) for r in self.runs.values() if not r.refused
        )
        return all(over)

    # --- its state ---------------------------------------------------------------------------------

    def _last(self, op: str, phase: str) -> Call | None:
        calls = [c for c in self.calls if c.op == op and c.phase == phase and c.ok and not c.error]
        return calls[-1] if calls else None

    @cached_property
    def head(self) -> Call | None:
        """The final read of its state."""
        return self._last("get_state", "final")

    @cached_property
    def log(self) -> list[Entry]:
        """The final log, entry by entry."""
        return parse_log(self.head.answer["log"]) if self.head is not None else []

    def entries_of(self, tag: str) -> list[int]:
        """The steps of one run in the final log, in the log's order."""
        return [step for t, step in self.log if t == tag]

    def position(self, tag: str) -> int | None:
        """Where the run's first entry stands in the final log."""
        return next((i for i, (t, _) in enumerate(self.log) if t == tag), None)

    def log_fact(self) -> Fact:
        """The final log, as a fact."""
        assert self.head is not None
        return fact("log", (self.head.n,), thread=self.name, log=tuple(self.head.answer["log"]))

    def holds(self, run: Run) -> Fact | None:
        """That the final state holds something of the run: in the log, in the messages, as its input."""
        if self.head is None:
            return None
        head, where = self.head.answer, []
        if any(t == run.tag for t, _ in self.log):
            where.append("log")
        if any(m[2] == run.tag for m in head["messages"]):
            where.append("messages")
        if head["tag"] == run.tag:
            where.append("input")
        if not where:
            return None
        log = tuple(head["log"])
        return fact("holds", (self.head.n,), thread=self.name, run=run.tag, where=tuple(where), log=log)

    def settled_fact(self) -> Fact:
        """That all runs had ended, as a fact."""
        assert self.epilogue is not None
        return fact("settled", (self.epilogue.n,), thread=self.name, at=self.epilogue.at)

    def unsettled_fact(self) -> Fact | None:
        """That runs had not ended, or the thread was busy, when the whole settle deadline had passed."""
        end = self.epilogue
        reads = [c for c in self.calls if c.phase == "settle" and c.ok and not c.error]
        last = next((c for c in reversed(reads) if c.op == "list_runs"), None)
        busy = next((c for c in reversed(reads) if c.op == "get_thread"), None)
        if end is None or end.settled or not end.in_full or last is None:
            return None
        open_still = [r for r in last.answer if r["status"] in INFLIGHT]
        if open_still:
            what = ", ".join(f"{r['tag'] or r['run_id']} is {r['status']}" for r in open_still)
        elif busy is not None and busy.answer["status"] == "busy":
            what, last = "the thread is busy", busy
        else:
            return None  # it could not be read how it ended
        return fact("unsettled", (end.n, last.n), thread=self.name, at=end.at, waited=end.waited, what=what)

    @cached_property
    def checkpoints(self) -> list[dict[str, Any]]:
        """The final history, newest first."""
        return list(self.history_call.answer) if self.history_call is not None else []

    @cached_property
    def history_call(self) -> Call | None:
        """The final read of its history."""
        return self._last("get_history", "final")

    @cached_property
    def settled_history(self) -> Call | None:
        """The read of its history right after it settled."""
        return self._last("get_history", "settled")

    @property
    def history_is_missing(self) -> bool:
        """Whether the target has no call for it."""
        calls = [c for c in self.calls if c.op == "get_history"]
        return bool(calls) and all(c.status in (404, 405, 501) for c in calls)

    @property
    def history_is_cut(self) -> bool:
        """Whether there may be more, as far as the target says: fewer were asked for than its pages hold."""
        return any(c.op == "get_history" and c.phase == OLDER and c.answer != [] for c in self.calls)

    @property
    def history_is_whole(self) -> bool:
        """Whether the final read holds all checkpoints."""
        return self.history_call is not None and len(self.checkpoints) < HISTORY_PAGE and not self.history_is_cut

    @cached_property
    def lineage(self) -> list[dict[str, Any]]:
        """The head and its ancestors, as far as the history holds them, newest first."""
        by_id = {c["id"]: c for c in self.checkpoints}
        at = self.head.answer["id"] if self.head is not None else None
        chain: list[dict[str, Any]] = []
        while at is not None and at in by_id and len(chain) <= len(by_id):
            chain.append(by_id[at])
            at = by_id[at]["parent"]
        return chain

    def wrote(self, run: Run, checkpoint: dict[str, Any]) -> bool:
        """Whether it is the run's, and not of a client's update, which has the same input in it."""
        named = run.run_id is not None and checkpoint["run"] == run.run_id
        return (checkpoint["tag"] == run.tag or named) and checkpoint["source"] not in BY_CLIENTS

    def carries(self, checkpoint: dict[str, Any], run: Run) -> bool:
        """Whether anything of the run is in the checkpoint: its input, an entry, or its name on it."""
        return (
            checkpoint["tag"] == run.tag
            or any(t == run.tag for t, _ in parse_log(checkpoint["log"]))
            or any(m[2] == run.tag for m in checkpoint["messages"])
            or (run.run_id is not None and checkpoint["run"] == run.run_id)
        )

    def hash_of(self, entries: Sequence[Entry]) -> str:
        """The hash that the probe announces for a log of these entries."""
        suffix = self.facts.history.instance
        return digest(f"{t}{suffix}:{s}" if "~" not in t else f"{t}:{s}" for t, s in entries)

    def replayed(self, entries: Sequence[Entry]) -> tuple[int, str]:
        """Counter and note after these entries."""
        counter, note = 0, ""
        for tag, step in entries:
            run = self.runs.get(tag)
            if run is None or step >= len(run.script):
                continue
            match run.script[step]:
                case {"op": "add", **rest}:
                    counter += int(rest.get("by", 1))
                case {"op": "note", **rest}:
                    note = str(rest.get("value", ""))
        return counter, note

    def first_after(self, run: Run) -> Run | None:
        """The first run that started after ``run`` was displaced, and was not there before it."""
        began = run.enters.get(0)
        later = [
            (other.enters[0].n, other)
            for other in self.runs.values()
            if other is not run
            and 0 in other.enters
            and (_later(other.enters[0], began) if began is not None else other.create.n > run.create.n)
        ]
        return min(later, key=lambda pair: pair[0])[1] if later else None

    def after(self, run: Run, step: int = 0) -> Iterator[tuple[Run, Fact]]:
        """Runs that certainly started after ``run`` had entered a superstep, with the proof."""
        entered = run.enters.get(step)
        for other in self.runs.values() if entered is not None else ():
            start = other.enters.get(0)
            if entered is None or start is None or other is run or not precedes(entered, other, start):
                continue
            cites = (entered.n, start.n, other.create.n)
            yield other, fact("after", cites, run=other.tag, other=run.tag, step=step, at=start.at)

    def next_after(self, run: Run) -> tuple[Run, Fact] | None:
        """The run that certainly started after ``run``, and no other between; None if that is not certain."""
        later = sorted((other for other, _ in self.after(run)), key=lambda r: r.enters[0].n)
        if not later or any(c.op not in HARMLESS | MUTATING and not _updated_before(c, run) for c in self.calls):
            return None
        new, began, lossless = later[0], run.enters[0], self.facts.history.transport != "stream"
        start = new.enters[0]
        for other in self.runs.values():
            entered = other.enters.get(0)
            if other in (run, new) or other.refused or other.create.sent >= start.at:
                continue
            # One that was interrupted before its first superstep announces nothing, and may have left its input.
            silent = lossless and not other.told and not any(d.kind == "interrupt" for d in other.displacements)
            if other.ended_before(run.create.sent) or silent:
                continue
            if entered is None or not (precedes(entered, run, began) or precedes(start, other, entered)):
                return None
        return new, fact("next", (began.n, start.n, new.create.n), run=new.tag, other=run.tag)

    def creates(self, strategy: str | None) -> Iterator[Run]:
        """The runs created with this strategy."""
        return (r for r in self.runs.values() if r.strategy == strategy)

    def inflight_during(self, run: Run) -> tuple[Run, Fact] | None:
        """A run that was certainly inflight while ``run`` was created."""
        for other in self.runs.values():
            if other is not run and (proof := other.inflight_during(run.create)) is not None:
                return other, proof
        return None

    def bursts(self) -> Iterator[list[Run]]:
        """The simultaneous creates, burst by burst."""
        groups: dict[str, list[Run]] = {}
        for run in self.runs.values():
            if run.create.group is not None:
                groups.setdefault(run.create.group, []).append(run)
        yield from groups.values()

    def idle_fact(self, besides: Sequence[Run]) -> Fact | None:
        """That no other run can have been inflight when these were created; None if one can."""
        first, last = min(r.create.sent for r in besides), max(r.create.until for r in besides)
        ended, cites = [], [r.create.n for r in besides]
        for run in self.runs.values():
            if run in besides or run.create.sent >= last:
                continue
            if run.refused and run.seen:
                return None  # whatever was answered: it is there
            if run.refused:
                continue
            if run.ended_at is None or not run.ended_before(first):
                return None
            ended.append(f"{run.tag} was read as {run.ended_at.status}")
            cites += [run.create.n, run.ended_at.call.n]
        tags = tuple(r.tag for r in besides)
        return fact("idle", cites, thread=self.name, at=first, besides=tags, ended=tuple(ended))

    def undisplaced_burst(self, strategy: str) -> Iterator[tuple[list[Run], tuple[Fact, ...]]]:
        """Bursts of one displacing strategy on an idle thread, all runs held until the last answer, in which
        all ended by themselves: whichever took effect first was inflight, and alone, when the second did."""
        for burst in self.bursts():
            if len(burst) < 2 or any(r.strategy != strategy or not r.accepted for r in burst):
                continue
            if spares(self.facts.displaces, strategy):
                continue  # the first may not have started yet
            last = max(r.create.until for r in burst)
            idle, gated = self.idle_fact(burst), gated_fact(burst)
            succeeded = all(r.final is not None and r.final.status == "success" for r in burst)
            if idle is not None and gated is not None and succeeded and all(r.cannot_end_before >= last for r in burst):
                yield burst, (*(r.answered_fact() for r in burst), *(r.final_fact() for r in burst), gated, idle)

    def busy_at_burst(self, run: Run) -> Run | None:
        """A run that was certainly inflight when the burst that ``run`` belongs to was fired."""
        if run.create.group is None:
            return None
        fired = min(r.create.sent for r in self.runs.values() if r.create.group == run.create.group)
        others = (r for r in self.runs.values() if r.create.group != run.create.group)
        return next((r for r in others if r.held_at(fired)), None)


def gated_fact(runs: Sequence[Run]) -> Fact | None:
    """That gates held all these runs until an instant; None where one has no gate."""
    releases = [r.last_release for r in runs]
    if any(release is None for release in releases):
        return None
    cites = [n for run, release in zip(runs, releases, strict=True) if release for n in (run.create.n, release.n)]
    until = min(release.at for release in releases if release is not None)
    return fact("gated", cites, runs=tuple(r.tag for r in runs), until=until)


def _updated_before(call: Call, run: Run) -> bool:
    """Whether it is an update of the state that was accepted before the run was created: the run may have found it."""
    return call.op == "update_state" and call.ok and not call.error and call.until <= run.create.sent


def _later(one: Told, other: Told) -> bool:
    """Whether it was announced after the other. What a node announces as it is cancelled may come late: of one
    clock's announcements the order is known by themselves."""
    return one.seq > other.seq if one.clock == other.clock else one.n > other.n


class Facts:
    """The facts of a whole history."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.displaces = history.displaces
        self.calls: list[Call] = list(history.of(Call))
        self.told: list[Told] = list(history.of(Told))
        self.gates: dict[str, GateOpened] = {}
        for g in history.of(GateOpened):
            self.gates.setdefault(g.key, g)
        self.remarks: list[Remark] = list(history.of(Remark))
        names = dict.fromkeys(c.thread for c in self.calls if c.thread and c.op in ("create", "stray", "request"))
        self.threads: dict[str, Thread] = {name: Thread(self, name) for name in names}

    @property
    def unprobed(self) -> bool:
        """Whether the runs are of a graph that is no probe: nothing is known of them but what reads show."""
        return self.history.transport == WITHOUT_PROBE

    @property
    def causal_receipts(self) -> bool:
        """Whether a node goes on only after the harness has its announcement."""
        return self.history.transport == "callback"
