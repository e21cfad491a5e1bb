"""Facts: what follows from a history with certainty. Each fact cites the records that prove it.

Interval reasoning stands here and nowhere else. Two kinds of intervals on the harness's clock: a run is
*certainly* inflight where nothing legal can have ended it, *possibly* inflight everywhere else between
its create's send and the first read that showed it ended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from conformance.history import Call, Epilogue, GateOpened, History, Remark, Told

TERMINAL = frozenset({"success", "error", "interrupted", "timeout"})
INFLIGHT = frozenset({"pending", "running"})
GONE = "gone"
NEVER = float("inf")
NO_EFFECT = frozenset({429, 503})  # refusals that say "not now": without effect, and of no meaning here
PERHAPS = frozenset({502, 504})  # a gateway's: the call may have taken effect
PAGE = 100
HISTORY_PAGE = 200

Kind = Literal["interrupt", "rollback"]
Entry = tuple[str, int]  # tag and step of a log entry


@dataclass(frozen=True)
class Fact:
    """One certain statement and the records (``#n``) that prove it."""

    text: str
    cites: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.text} [{', '.join(f'#{n}' for n in self.cites)}]"


def digest(parts: Iterable[str]) -> str:
    """The probe's hash of a sequence of strings."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def ms(t: float) -> str:
    """An instant for people."""
    return f"t={t * 1000:.1f} ms"


def shown(call: Call) -> str:
    """What a call was answered, for people."""
    if call.status is None:
        return f"no answer ({call.error})"
    if call.ok and not call.error:
        return str(call.status)
    return f"{call.status} {str(call.answer)[:160]}"


@dataclass(frozen=True)
class Reading:
    """One read of a run's status: ``gone`` where it answered 404."""

    call: Call
    status: str


@dataclass(frozen=True)
class Release:
    """A gate let a run go, not before ``at``; ``n`` is the record that says so."""

    at: float
    n: int


@dataclass(frozen=True)
class Displacement:
    """A call that marks a run: an interrupt or rollback create, or a cancel. ``must``: certainly did."""

    call: Call
    kind: Kind
    must: Fact | None


class Run:
    """One create and everything that is known of the run it made."""

    def __init__(self, thread: Thread, create: Call) -> None:
        self.thread = thread
        self.create = create
        self.tag: str = create.tag or "?"
        self.script: Sequence[dict[str, Any]] = create.request.get("steps") or []
        self.strategy: str | None = create.request.get("strategy")
        self.told: list[Told] = [r for r in thread.facts.told if r.tag == self.tag]

    def __repr__(self) -> str:
        return f"Run({self.tag})"

    # --- its create --------------------------------------------------------------------------------

    @property
    def accepted(self) -> bool:
        """Answered with success."""
        return self.create.ok and not self.create.error

    @property
    def unknown(self) -> bool:
        """Whether it took effect cannot be told from the answer."""
        status = self.create.status
        return status is None or status in PERHAPS or (self.create.ok and bool(self.create.error))

    @property
    def refused(self) -> bool:
        """Answered with a 4xx or a 5xx that leaves no doubt, and is about this call."""
        return not self.accepted and not self.unknown and self.create.status not in NO_EFFECT

    @cached_property
    def run_id(self) -> str | None:
        """Its id on the target."""
        if self.accepted:
            return str(self.create.answer["run_id"])
        for call in self.thread.lists:
            for row in call.answer:
                if row["tag"] == self.tag:
                    return str(row["run_id"])
        return None

    # --- what it did -------------------------------------------------------------------------------

    def _first(self, kind: str) -> dict[int, Told]:
        found: dict[int, Told] = {}
        for r in self.told:
            if r.kind == kind:
                found.setdefault(r.step, r)
        return found

    @cached_property
    def enters(self) -> dict[int, Told]:
        """First entry of each superstep."""
        return self._first("enter")

    @cached_property
    def leaves(self) -> dict[int, Told]:
        """First leaving of each superstep."""
        return self._first("leave")

    @property
    def found(self) -> dict[str, Any] | None:
        """What it found in the state when it started."""
        first = self.enters.get(0)
        return dict(first.detail["found"]) if first is not None and first.detail.get("found") else None

    @property
    def completed(self) -> int:
        """How many supersteps it certainly completed: those that it was seen to go beyond."""
        return max(self.enters, default=0)

    @property
    def reached_end(self) -> bool:
        """It left its last superstep."""
        return not self.script or len(self.script) - 1 in self.leaves

    @property
    def raises(self) -> Told | None:
        """Its node raised."""
        return next((r for r in self.told if r.kind == "raise"), None)

    @property
    def fails(self) -> bool:
        """Its script has an instruction that raises."""
        return any(s["op"] == "fail" for s in self.script)

    @property
    def length(self) -> int:
        """Number of entries of its whole segment (up to the instruction that raises)."""
        for i, s in enumerate(self.script):
            if s["op"] == "fail":
                return i
        return len(self.script)

    @cached_property
    def effect_by(self) -> float:
        """The instant by which its create had certainly taken effect: answered, listed, or executing."""
        instants = [self.create.until, *(r.at for r in self.told[:1])]
        for call in self.thread.lists:
            if call.received is not None and any(row["tag"] == self.tag for row in call.answer):
                instants.append(call.received)
                break
        return min(instants)

    # --- its fate ----------------------------------------------------------------------------------

    @cached_property
    def readings(self) -> list[Reading]:
        """Every read of its status, in order of completion."""
        found = []
        for call in self.thread.calls:
            if call.op == "get_run" and call.tag == self.tag:
                if call.ok and not call.error and call.answer["status"]:
                    found.append(Reading(call, str(call.answer["status"])))
                elif call.status == 404:
                    found.append(Reading(call, GONE))
            elif call.op == "list_runs" and call.ok and not call.error:
                for row in call.answer:
                    if row["run_id"] == self.run_id and row["status"]:
                        found.append(Reading(call, str(row["status"])))
        return found

    @property
    def final(self) -> Reading | None:
        """The last direct read of it, after the quiet window."""
        finals = [r for r in self.readings if r.call.phase == "final" and r.call.op == "get_run"]
        return finals[-1] if finals else None

    @property
    def ended_at(self) -> Reading | None:
        """The first read that showed it terminal or gone."""
        return next((r for r in self.readings if r.status in TERMINAL or r.status == GONE), None)

    @cached_property
    def displacements(self) -> list[Displacement]:
        """Every call that may have ended it: it may have taken effect while the run was inflight."""
        found = []
        for call in self.thread.calls:
            kind = self._ends(call)
            if kind is None or call.until < self.create.sent:
                continue
            if self.ended_before(call.sent):
                continue
            found.append(Displacement(call, kind, None))
        return [Displacement(d.call, d.kind, self._must(d.call, found)) for d in found]

    def _ends(self, call: Call) -> Kind | None:
        refused = call.status is not None and call.status not in PERHAPS and not call.ok
        if refused:
            return None
        if call.op == "create" and call.tag != self.tag:
            strategy = call.request.get("strategy")
            if strategy is None:
                return self.thread.default_displaces(call)
            return strategy if strategy in ("interrupt", "rollback") else None
        if call.op == "cancel" and call.tag == self.tag:
            action: Kind = call.request["action"]
            return action
        return None

    def _must(self, call: Call, all_of_them: Sequence[Displacement]) -> Fact | None:
        if not call.ok or call.error:
            return None
        inflight = self._held_over(call, [d.call for d in all_of_them])
        if inflight is None or (call.op == "create" and self.queued_at(call)):
            return None
        return inflight

    def queued_at(self, call: Call) -> bool:
        """Whether another run may have been before it in the queue when ``call`` was made."""
        first = self.enters.get(0)
        if first is not None and first.at <= call.sent:
            return False
        return any(
            other is not self
            and not other.refused
            and other.create.tag != call.tag
            and other.create.sent < self.create.until
            and not other.ended_before(self.create.sent)
            for other in self.thread.runs.values()
        )

    def ended_before(self, instant: float) -> bool:
        """It was read as terminal or gone before that instant."""
        ended = self.ended_at
        return ended is not None and ended.call.received is not None and ended.call.received <= instant

    def release(self, step: int) -> Release | None:
        """When the gate of a superstep was opened, at the earliest; None where it has none, or it held nothing.

        Where gates are timed, each holds for its bound, and none of them before the create was sent.
        """
        spec = self.script[step] if step < len(self.script) else {}
        swallowed = any(r.kind == "swallowed" and r.step == step for r in self.told)
        key = spec.get("swallow") if swallowed else spec.get("gate")
        if key is None:
            return None
        if self.thread.facts.history.transport == "stream":
            held = sum(float(s.get("bound", 0)) for s in self.script[: step + 1] if "gate" in s)
            return Release(self.create.sent + held, self.create.n)
        left = self.leaves.get(step)
        if left is not None and left.detail.get("gate_opened") is False:
            return None  # its bound expired
        opened = self.thread.facts.gates.get(key)
        return Release(NEVER, self.create.n) if opened is None else Release(opened.sent, opened.n)

    @cached_property
    def last_release(self) -> Release | None:
        """The release of the last gate that it must pass to end by itself."""
        releases = []
        for i, step in enumerate(self.script):
            if step["op"] == "fail" and "gate" not in step:
                break
            if (release := self.release(i)) is not None:
                releases.append(release)
        return max(releases, key=lambda r: r.at, default=None)

    @property
    def cannot_end_before(self) -> float:
        """The instant before which it cannot have ended by itself: its last gate was closed."""
        return self.last_release.at if self.last_release is not None else -NEVER

    def held_over(self, call: Call) -> bool:
        """Accepted before ``call`` was sent, and held by a gate until it had taken effect."""
        return self.accepted and self.effect_by <= call.sent and self.cannot_end_before >= self.thread.effect_by(call)

    def held_at(self, instant: float) -> Fact | None:
        """Proof that it was inflight at that instant: a gate held it, and nothing else can have ended it."""
        if not self.accepted or self.effect_by > instant or self.cannot_end_before < instant:
            return None
        if self.ended_before(instant) or any(d.call.sent < instant for d in self.displacements):
            return None
        text = f"{self.tag} was inflight at {ms(instant)}: accepted before, and held by a gate"
        return Fact(text, (self.create.n,))

    def _held_over(self, call: Call, enders: Sequence[Call]) -> Fact | None:
        """It was inflight during the whole call, because a gate held it and nothing else ended it."""
        effect = self.thread.effect_by(call)
        if not self.accepted or self.effect_by > call.sent or effect == NEVER:
            return None
        if self.cannot_end_before < effect:
            return None
        if any(e is not call and e.sent < effect for e in enders):
            return None
        if self.ended_before(effect):
            return None
        last = self.last_release
        assert last is not None
        until = f"was closed until {ms(last.at)}" if last.at != NEVER else "was never opened"
        inside = [r for r in self.enters.values() if r.detail.get("gate") and r.at <= call.sent]
        where = f", inside its superstep {inside[-1].step} since {ms(inside[-1].at)}" if inside else ""
        cites = dict.fromkeys((self.create.n, *(r.n for r in inside[-1:]), last.n))
        text = (
            f"{self.tag} was inflight while {call.op} {call.tag} took effect: accepted by "
            f"{ms(self.effect_by)}{where}, and its last gate {until}"
        )
        return Fact(text, tuple(cites))

    def inflight_during(self, call: Call) -> Fact | None:
        """Proof that it was inflight when ``call`` took effect, or None."""
        held = self._held_over(call, [d.call for d in self.displacements])
        if held is not None:
            return held
        if not self.accepted or self.effect_by > call.sent:
            return None
        for listing in self.thread.lists:
            if listing.sent < call.sent:
                continue
            rows = {row["tag"]: row["status"] for row in listing.answer}
            if rows.get(self.tag) in INFLIGHT and call.tag in rows:
                text = f"one list shows {call.tag} and, beside it, {self.tag} still {rows[self.tag]}"
                return Fact(text, (listing.n, call.n))
        return None

    def forced(self, kind: Kind, by: str = "create") -> Displacement | None:
        """The displacement that certainly decided its fate, if one of this kind by this call did."""
        musts = [d for d in self.displacements if d.must is not None]
        if len(musts) == 0 or musts[0].kind != kind or musts[0].call.op != by:
            return None
        if self.met_refusal or any(d.kind != kind for d in self.displacements):
            return None
        return musts[0]

    @property
    def ended_itself(self) -> bool:
        """It was read last with a status that only its own end gives, whatever was called."""
        final = self.final
        return final is not None and (final.status == "success" or (final.status == "error" and self.undisturbed))

    @property
    def undisturbed(self) -> bool:
        """Nobody displaced, cancelled or deleted it: it can only have ended by itself."""
        return self.accepted and not self.displacements and not self.met_refusal

    @cached_property
    def met_refusal(self) -> bool:
        """A create was refused while it may have been inflight.

        That must have no effect. Whether it had one is for reject.no-effect to say, and for nobody else.
        """
        return any(
            other is not self
            and other.refused
            and other.create.until > self.create.sent
            and not self.ended_before(other.create.sent)
            for other in self.thread.runs.values()
        )

    def accepted_fact(self) -> Fact:
        """That its create was accepted."""
        strategy = self.strategy or "no strategy"
        return Fact(
            f"{self.tag}'s create ({strategy}) was sent at {ms(self.create.sent)} and answered "
            f"{shown(self.create)} at {ms(self.create.until)}",
            (self.create.n,),
        )

    def final_fact(self) -> Fact:
        """How it was read last."""
        final = self.final
        if final is None:
            return Fact(f"{self.tag} was never read at the end", (self.create.n,))
        read = "answered 404" if final.status == GONE else f"read as {final.status}"
        return Fact(f"{self.tag} was finally {read}", (final.call.n,))


class Thread:
    """One thread of a history."""

    def __init__(self, facts: Facts, name: str) -> None:
        self.facts = facts
        self.name = name
        self.calls: list[Call] = [c for c in facts.calls if c.thread == name]
        self.lists: list[Call] = [c for c in self.calls if c.op == "list_runs" and c.ok and not c.error]
        self.runs: dict[str, Run] = {}
        for call in self.calls:
            if call.op == "create" and call.tag is not None:
                self.runs[call.tag] = Run(self, call)
        self.epilogue: Epilogue | None = next((e for e in facts.history.of(Epilogue) if e.thread == name), None)

    @property
    def settled(self) -> bool:
        """Everything on it ended within the deadline."""
        return self.epilogue is not None and self.epilogue.settled

    def effect_by(self, call: Call) -> float:
        """The instant by which the call had certainly taken effect."""
        if call.op == "create" and call.tag in self.runs and self.runs[call.tag].accepted:
            return self.runs[call.tag].effect_by
        return call.until

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
        return Fact(f"the final log of thread {self.name} is {show_log(self.log)}", (self.head.n,))

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
    def history_is_whole(self) -> bool:
        """Whether the final read holds all checkpoints."""
        return self.history_call is not None and len(self.checkpoints) < HISTORY_PAGE

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
            and (other.enters[0].n > began.n if began is not None else other.create.n > run.create.n)
        ]
        return min(later, key=lambda pair: pair[0])[1] if later else None

    def creates(self, strategy: str | None) -> Iterator[Run]:
        """The runs created with this strategy."""
        return (r for r in self.runs.values() if r.strategy == strategy)

    def inflight_during(self, run: Run) -> tuple[Run, Fact] | None:
        """A run that was certainly inflight while ``run`` was created."""
        for other in self.runs.values():
            if other is not run and (fact := other.inflight_during(run.create)) is not None:
                return other, fact
        return None

    def undisplaced_burst(self, strategy: str) -> Iterator[tuple[list[Run], tuple[Fact, ...]]]:
        """Bursts of one displacing strategy on an idle thread, all runs held until the last answer, in which
        all ended by themselves: whichever took effect first was inflight, and alone, when the second did."""
        groups: dict[str, list[Run]] = {}
        for run in self.creates(strategy):
            if run.create.group is not None:
                groups.setdefault(run.create.group, []).append(run)
        for name, burst in groups.items():
            first, last = min(r.create.sent for r in burst), max(r.create.until for r in burst)
            others = [r for r in self.runs.values() if r.create.group != name and not r.refused]
            if len(burst) < 2 or any(r.create.sent < last and not r.ended_before(first) for r in others):
                continue
            if all(r.accepted and r.ended_itself and r.cannot_end_before >= last for r in burst):
                held = Fact(f"no gate of them was opened before {ms(last)}, the last answer", (burst[0].create.n,))
                yield burst, (*(r.accepted_fact() for r in burst), held, *(r.final_fact() for r in burst))

    def busy_at_burst(self, run: Run) -> tuple[Run, Fact] | None:
        """A run that was certainly inflight when the burst that ``run`` belongs to was fired."""
        if run.create.group is None:
            return None
        fired = min(r.create.sent for r in self.runs.values() if r.create.group == run.create.group)
        for other in self.runs.values():
            if other.create.group != run.create.group and (fact := other.held_at(fired)) is not None:
                return other, fact
        return None


class Facts:
    """The facts of a whole history."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.calls: list[Call] = list(history.of(Call))
        self.told: list[Told] = list(history.of(Told))
        self.gates: dict[str, GateOpened] = {}
        for g in history.of(GateOpened):
            self.gates.setdefault(g.key, g)
        self.remarks: list[Remark] = list(history.of(Remark))
        names = dict.fromkeys(c.thread for c in self.calls if c.thread and c.op == "create")
        self.threads: dict[str, Thread] = {name: Thread(self, name) for name in names}

    @property
    def causal_receipts(self) -> bool:
        """Whether a node goes on only after the harness has its announcement."""
        return self.history.transport == "callback"


def parse_log(log: Iterable[str]) -> list[Entry]:
    """Entries as they are kept in records (``tag:step``)."""
    return [(tag, int(step)) for tag, _, step in (e.rpartition(":") for e in log)]


def show_log(log: Sequence[Entry]) -> str:
    """A log for people: ``A0 A1 B0``."""
    return " ".join(f"{t}{s}" for t, s in log) or "(empty)"
