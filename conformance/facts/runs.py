"""One run: its create, what it did, and its fate.

Two kinds of intervals on the harness's clock: a run is *certainly* inflight where nothing legal can have
ended it, *possibly* inflight everywhere else between its create's send and the first read that showed it
ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from conformance.displacing import spares
from conformance.facts.claims import Fact, fact
from conformance.facts.words import (
    CANCELS,
    GATE_BOUND_S,
    GONE,
    HARMLESS,
    INFLIGHT,
    LAG_S,
    NEVER,
    NO_EFFECT,
    NOT_THE_RUN,
    OWN_ENDS,
    PERHAPS,
    STOPPED,
    TERMINAL,
    Kind,
    named,
    shown,
    targets,
    unsure,
)
from conformance.history import Call, Told

if TYPE_CHECKING:
    from conformance.facts.threads import Thread


@dataclass(frozen=True)
class Reading:
    """One read of a run's status: ``gone`` where it answered 404."""

    call: Call
    status: str


def lags(earlier: Reading, later: Reading) -> bool:
    """Whether the later read, which shows a run that was over as inflight, may have been answered from an older state:
    reads in the middle of a run may lag."""
    return later.status in INFLIGHT and later.call.sent - earlier.call.until < LAG_S


@dataclass(frozen=True)
class Instant:
    """Something is so at an instant, ``at``; ``n`` is the record that says so."""

    at: float
    n: int


@dataclass(frozen=True)
class Displacement:
    """A call that marks a run: an interrupt or rollback create, a cancel, or a deletion. ``must``: certainly did."""

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
        """Answered with success; or it was shown before its create, which waits for its end, was answered at all."""
        return (self.create.ok and not self.create.error) or self._shown_meanwhile

    @cached_property
    def _shown_meanwhile(self) -> bool:
        if self.create.ok or self.create.request.get("endpoint") not in ("wait", "stream"):
            return False
        told = any(r.at <= self.create.until for r in self.told)
        return told or any(c.until <= self.create.until for c in self.thread.lists if _names(c, self.tag))

    @property
    def scheduled(self) -> bool:
        """It was to start only some time after its create."""
        return self.create.request.get("after") is not None

    @property
    def unknown(self) -> bool:
        """Whether it took effect cannot be told from the answer."""
        status = self.create.status
        lost = status is None or status in PERHAPS or (self.create.ok and bool(self.create.error))
        return lost and not self.accepted

    @property
    def refused(self) -> bool:
        """Answered with a 4xx or a 5xx that leaves no doubt, and is about this call."""
        return not self.accepted and not self.unknown and self.create.status not in NO_EFFECT

    @cached_property
    def seen(self) -> bool:
        """It executed, or a list showed it."""
        return bool(self.told) or any(_names(c, self.tag) for c in self.thread.lists)

    @property
    def met_active_run(self) -> bool:
        """Refused with a 4xx that can be about the active run."""
        status = self.create.status or 0
        return self.refused and 400 <= status < 500 and status not in NOT_THE_RUN

    @cached_property
    def run_id(self) -> str | None:
        """Its id on the target."""
        if self.create.ok and not self.create.error and self.create.answer["run_id"] is not None:
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

    def completed_before(self, call: Call) -> int:
        """How many supersteps it certainly completed before a call was sent: those that it was seen to go beyond.

        What it completes later, while it is being displaced or by code that cannot be stopped, is not owed.
        """
        return max((step for step, r in self.enters.items() if r.at <= call.sent), default=0)

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
    def effect(self) -> Instant:
        """By when its create had certainly taken effect: answered, listed, or executing; and what shows it."""
        shown_by = [Instant(self.create.until, self.create.n), *(Instant(r.at, r.n) for r in self.told[:1])]
        for call in self.thread.lists:
            if call.received is not None and any(row["tag"] == self.tag for row in call.answer):
                shown_by.append(Instant(call.received, call.n))
                break
        return min(shown_by, key=lambda e: e.at)

    @property
    def effect_by(self) -> float:
        """The instant by which its create had certainly taken effect."""
        return self.effect.at

    # --- its fate ----------------------------------------------------------------------------------

    @cached_property
    def readings(self) -> list[Reading]:
        """Every read of its status, in order of completion.

        What is answered in another run's name, or twice in one list, is no reading of this one.
        """
        found = []
        for call in self.thread.calls:
            if call.op == "get_run" and call.tag == self.tag:
                if call.ok and not call.error and call.answer["status"] and call.answer.get("tag") in (None, self.tag):
                    found.append(Reading(call, str(call.answer["status"])))
                elif call.status == 404:
                    found.append(Reading(call, GONE))
            elif call.op == "list_runs" and call.ok and not call.error:
                rows = [row for row in call.answer if row["run_id"] == self.run_id]
                if len(rows) == 1 and rows[0]["tag"] in (None, self.tag) and rows[0]["status"]:
                    found.append(Reading(call, str(rows[0]["status"])))
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
        """Every call that may have ended it: it may have taken effect while the run was inflight, or deleted it."""
        found = []
        for call in self.thread.calls:
            kind = self._ends(call)
            if kind is None or call.until < self.create.sent:
                continue
            if kind != "delete" and self.ended_before(call.sent):
                continue
            found.append(Displacement(call, kind, None))
        return [Displacement(d.call, d.kind, self._must(d.call, found)) for d in found]

    def _ends(self, call: Call) -> Kind | None:
        if not call.ok and not unsure(call):
            return None
        if call.op == "create" and call.tag != self.tag:
            strategy = call.request.get("strategy")
            if strategy is None:
                return self.thread.default_displaces(call)
            return strategy if strategy in ("interrupt", "rollback") else None
        if call.op in CANCELS and self.tag in targets(call):
            action: Kind = call.request["action"]
            return action
        if call.op == "delete_thread" or (call.op == "delete" and call.tag == self.tag):
            return "delete"
        return None

    def _must(self, call: Call, all_of_them: Sequence[Displacement]) -> Fact | None:
        if not call.ok or call.error or call.op == "delete_thread":
            return None
        if call.op == "create" and (call.request.get("strategy") is None or self.queued_at(call)):
            return None
        executes = any(r.kind == "enter" and r.at <= call.sent for r in self.told)
        spared = call.op == "create" and spares(self.thread.facts.displaces, call.request["strategy"])
        if spared and not executes:
            return None
        return self._held_over(call, [d.call for d in all_of_them], "foremost" if call.op == "create" else "inflight")

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

    def release(self, step: int) -> Instant | None:
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
            return Instant(self.create.sent + held, self.create.n)
        left = self.leaves.get(step)
        if left is not None and left.detail.get("gate_opened") is False:
            return None  # its bound expired
        bound = self.create.sent + float(spec.get("bound", GATE_BOUND_S))
        opened = self.thread.facts.gates.get(key)
        if opened is not None and opened.sent < bound:
            return Instant(opened.sent, opened.n)
        return Instant(bound, self.create.n)  # no gate holds for longer

    @cached_property
    def last_release(self) -> Instant | None:
        """The release of the last gate that it must pass to end by itself."""
        releases = []
        for i, step in enumerate(self.script):
            if (release := self.release(i)) is not None:
                releases.append(release)
            if step["op"] == "fail":
                break  # what follows is not its to pass
        return max(releases, key=lambda r: r.at, default=None)

    @property
    def cannot_end_before(self) -> float:
        """The instant before which it cannot have ended by itself: its last gate was closed."""
        return self.last_release.at if self.last_release is not None else -NEVER

    def held_over(self, call: Call) -> bool:
        """Accepted before ``call`` was sent, and held by a gate until it had taken effect."""
        return self.accepted and self.effect_by <= call.sent and self.cannot_end_before >= self.thread.effect_by(call)

    def held_at(self, instant: float) -> bool:
        """Whether it was inflight at that instant: a gate held it, and nothing else can have ended it."""
        if not self.accepted or self.effect_by > instant or self.cannot_end_before < instant:
            return False
        return not self.ended_before(instant) and not any(d.call.sent < instant for d in self.displacements)

    def _held_over(self, call: Call, enders: Sequence[Call], kind: str = "inflight") -> Fact | None:
        """It was inflight during the whole call, because a gate held it and nothing else ended it."""
        effect = self.thread.effect_of(call)
        if not self.accepted or self.effect_by > call.sent or effect.at == NEVER:
            return None
        if self.cannot_end_before < effect.at or self.cut_before(call.sent):
            return None
        if any(e is not call and e.sent < effect.at for e in enders):
            return None
        if self.ended_before(effect.at) and not (call in enders and self._stopped_meanwhile(call, effect.at)):
            return None
        last = self.last_release
        assert last is not None
        inside = [r for r in self.enters.values() if r.detail.get("gate") and r.at <= call.sent][-1:]
        cites = (self.create.n, self.effect.n, *(r.n for r in inside), call.n, effect.n, last.n)
        return fact(
            kind,
            cites,
            run=self.tag,
            op=call.op,
            over=named(call),
            sent=call.sent,
            since=self.effect_by,
            inside=inside[0].step if inside else None,
            until=last.at,
        )

    def cut_before(self, instant: float) -> bool:
        """Its node was cancelled by then, and none was entered after that: whoever did it, it was over."""
        return any(
            r.kind == "cancelled" and r.at <= instant and not any(e.kind == "enter" and e.n > r.n for e in self.told)
            for r in self.told
        )

    def _stopped_meanwhile(self, call: Call, instant: float) -> bool:
        """As it was read until that instant, it was stopped, and not before the call was sent: one list can show both
        this and that the call has taken effect."""
        ends = [r for r in self.readings if r.status in (*TERMINAL, GONE) and r.call.until <= instant]
        return all(r.status in STOPPED and r.call.sent >= call.sent for r in ends)

    def held_during(self, call: Call) -> Fact | None:
        """Proof that a gate held it, inflight, over the whole call; None where something else may have ended it."""
        return self._held_over(call, [d.call for d in self.displacements])

    def inflight_during(self, call: Call) -> Fact | None:
        """Proof that it was inflight when ``call`` took effect, or None."""
        held = self.held_during(call)
        if held is not None:
            return held
        if not self.accepted or self.effect_by > call.sent:
            return None
        for listing in self.thread.lists:
            if listing.sent < call.sent:
                continue
            rows = {row["tag"]: row["status"] for row in listing.answer}
            if rows.get(self.tag) in INFLIGHT and call.tag in rows:
                cites = (self.create.n, self.effect.n, call.n, listing.n)
                status, over = str(rows[self.tag]), str(call.tag)
                times = {"since": self.effect_by, "at": listing.sent}
                return fact("beside", cites, run=self.tag, status=status, over=over, **times)
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
    def untouched(self) -> bool:
        """Nothing else that changes anything was called on its thread, from its create until it was read as ended."""
        calls = (c for c in self.thread.calls if c is not self.create and c.op not in HARMLESS)
        return not any(c.until >= self.create.sent and not self.ended_before(c.sent) for c in calls)

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

    # --- facts -------------------------------------------------------------------------------------

    def answered_fact(self) -> Fact:
        """What its create was answered."""
        create = self.create
        said = {"strategy": self.strategy, "endpoint": create.request.get("endpoint", "runs"), "answer": shown(create)}
        return fact("answered", (create.n,), run=self.tag, sent=create.sent, at=create.until, **said)

    def sent_fact(self) -> Fact:
        """That its create was sent, whatever became of it."""
        return fact("sent", (self.create.n,), run=self.tag, strategy=self.strategy, sent=self.create.sent)

    def final_fact(self) -> Fact:
        """How it was read last."""
        final = self.final
        assert final is not None
        return fact("final", (final.call.n,), run=self.tag, status=final.status, sent=final.call.sent)

    def read_fact(self, reading: Reading) -> Fact:
        """One reading of it."""
        call = reading.call
        return fact("read", (call.n,), run=self.tag, status=reading.status, sent=call.sent, at=call.until)

    def told_fact(self, told: Told) -> Fact:
        """Something that it announced."""
        return fact("told", (told.n,), run=self.tag, what=told.kind, step=told.step, at=told.at)

    def held_fact(self, step: int) -> Fact | None:
        """That a gate held it inside a superstep; None where it has none."""
        entered, opened = self.enters.get(step), self.release(step)
        if entered is None or opened is None:
            return None
        return fact("held", (entered.n, opened.n), run=self.tag, step=step, since=entered.at, until=opened.at)

    @property
    def attempted_again(self) -> bool:
        """By the attempt that the probe was told, or since it entered a superstep twice: not every server tells it."""
        steps = [r.step for r in self.told if r.kind == "enter"]
        return len(steps) > len(set(steps)) or len({r.attempt for r in self.told}) > 1

    def executed_over(self, read: Reading) -> tuple[Fact, ...] | None:
        """That one attempt was inside a superstep from before the read to after it, and came to its own end: it cannot
        have been put back into the queue then. A fault before the first superstep, or behind the last, leaves no trace.
        """
        if not self.accepted or not self.undisturbed or self.attempted_again:
            return None
        for step, entered in self.enters.items():
            held, opened = self.held_fact(step), self.release(step)
            if held and opened and entered.at <= read.call.sent and read.call.until <= opened.at:
                cites = (self.create.n, *(r.n for r in self.told if r.kind == "enter"))
                return held, fact("retry", cites, run=self.tag), self.undisturbed_fact()
        return None

    def found_fact(self) -> Fact:
        """What it found when it started."""
        assert self.found is not None
        found = {c: self.found[c] for c in ("log", "log_hash", "counter", "note", "messages", "messages_hash")}
        return fact("found", (self.enters[0].n,), run=self.tag, **found)

    def given_fact(self) -> Fact:
        """Its id on the target."""
        assert self.accepted
        return fact("given", (self.create.n,), run=self.tag, id=self.run_id)

    def unbegun_fact(self) -> Fact | None:
        """That it had started nothing when the harness had waited for that in full; None where it did, or may have."""
        for remark in self.thread.facts.remarks:
            if remark.kind != "begin-waited" or remark.detail["tag"] != self.tag or remark.detail["told"]:
                continue
            if self.thread.facts.history.transport == "stream" or any(r.at < remark.at for r in self.told):
                continue
            if float(remark.detail["waited"]) >= float(remark.detail["deadline"]):
                waited = remark.detail["waited"]
                return fact("unbegun", (remark.n,), run=self.tag, at=remark.at, waited=waited)
        return None

    def no_end_fact(self) -> Fact | None:
        """That it did not reach its end, as far as the probe told and the state shows; None if that is not certain.

        Announcements may be lost on streams: what was not seen may have happened all the same.
        """
        if self.thread.facts.history.transport == "stream" or self.reached_end:
            return None
        head = self.thread.head
        if len(self.thread.entries_of(self.tag)) >= self.length:
            return None
        if head is not None and not self.thread.settled and not self.ended_before(head.sent):
            return None  # the state may have been read before its end
        cites = (self.create.n, *(r.n for r in self.told[-1:]), *([head.n] if head is not None else []))
        return fact("no_end", cites, run=self.tag, reached=max(self.enters, default=None), of=len(self.script))

    @property
    def ending(self) -> str:
        """The status in which its script ends; empty where it has none, because its graph is no probe."""
        if self.thread.facts.unprobed:
            return ""
        return "error" if self.fails else "success"

    @property
    def own_ends(self) -> frozenset[str]:
        """The statuses in which it may end if nobody stops it."""
        return frozenset({self.ending}) if self.ending else OWN_ENDS

    def undisturbed_fact(self) -> Fact:
        """That no call can have ended it."""
        return fact("undisturbed", (self.create.n,), run=self.tag, end=self.ending)

    def unended_fact(self, instant: float) -> Fact | None:
        """That nothing can have ended it before an instant but itself; None if something can."""
        if self.ended_before(instant) or any(d.call.sent < instant for d in self.displacements):
            return None
        return fact("unended", (self.create.n,), run=self.tag, at=instant)

    def only_fact(self) -> Fact:
        """That all calls which may have displaced it owe it the same end."""
        calls = tuple(f"{d.call.op} {named(d.call)}" for d in self.displacements)
        cites = tuple(d.call.n for d in self.displacements)
        return fact("only", cites, run=self.tag, calls=calls, kind=self.displacements[0].kind)


def _names(listing: Call, tag: str) -> bool:
    return any(row["tag"] == tag for row in listing.answer)


def precedes(earlier: Told, later: Run, start: Told) -> bool:
    """Whether an announcement certainly came before a superstep's entry: on one clock, or because the run
    was created when the announcement had been heard."""
    return (earlier.clock == start.clock and earlier.t < start.t) or earlier.at <= later.create.sent
