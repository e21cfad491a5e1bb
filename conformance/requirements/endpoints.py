"""endpoint: every way to create a run and to follow it means the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from conformance.facts import GONE, INFLIGHT, NO_EFFECT, PERHAPS, STOPPED, Displacement, Fact, Run, Thread, fact, shown
from conformance.facts.clients import RELEASE_S, Client, How, clients_of
from conformance.history import Call, Told
from conformance.requirements.base import (
    MUST,
    SHOULD,
    Exercise,
    Exercised,
    Inapplicable,
    Judgement,
    Oracle,
    Violation,
    requirement,
)
from conformance.requirements.interrupt import call_fact

DISPLACING = ("interrupt", "rollback")


# --- the same as on /runs ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Met:
    """What became of a run that was held, and of the one that was created over it."""

    first: Run
    second: Run
    outcome: tuple[bool, str]  # was the second accepted, and how did the first end
    proof: tuple[Fact, ...]

    @property
    def endpoints(self) -> set[str]:
        return {r.create.request.get("endpoint", "runs") for r in (self.first, self.second)}


def _met(thread: Thread) -> Iterator[Met]:
    for second in thread.runs.values():
        call = second.create
        if second.unknown or call.status in NO_EFFECT or call.group is not None:
            continue
        for first in thread.runs.values():
            inflight = first.held_during(call) if first is not second else None
            if inflight is None or first.final is None or first.final.status in INFLIGHT or not thread.settled:
                continue
            if not any(r.detail.get("gate") and r.at <= call.sent for r in first.enters.values()):
                continue  # one that waited may end otherwise than one that executed
            if not first.displacements:
                why = first.undisturbed_fact()
            elif [d.call for d in first.displacements] == [call]:
                why = first.only_fact()
            else:
                continue
            proof = (inflight, second.answered_fact(), why, first.final_fact())
            yield Met(first, second, (second.accepted, first.final.status), proof)


def _same(endpoint: str) -> Oracle:
    def oracle(thread: Thread) -> Iterator[Judgement]:
        """Holds what happened by this endpoint against what happened, in the same history, by ``/runs`` alone."""
        here = [m for m in _met(thread) if endpoint in m.endpoints and m.endpoints <= {"runs", endpoint}]
        others = [t for t in thread.facts.threads.values() if t is not thread and here]
        controls = [m for t in others for m in _met(t) if m.endpoints == {"runs"}]
        for met in here:
            control = next((c for c in controls if c.second.strategy == met.second.strategy), None)
            if control is None or control.first.ending != met.first.ending:
                continue
            if control.outcome == met.outcome:
                yield Exercised()
            else:
                observed = f"{_told(met)} by /runs/{endpoint}"
                yield Violation(f"as by /runs: {_told(control)}", observed, (*control.proof, *met.proof))

    return oracle


def _told(met: Met) -> str:
    accepted, fate = met.outcome
    end = "was deleted" if fate == GONE else f"ended {fate}"
    verb = "was accepted" if accepted else f"was refused ({met.second.create.status})"
    return f"{met.second.tag} ({met.second.strategy}) {verb}, and {met.first.tag} {end}"


for _endpoint in ("wait", "stream"):
    requirement(
        f"endpoint.same.{_endpoint}",
        MUST,
        f"Each strategy does on /runs/{_endpoint} what it does on /runs, for the first run and for the second.",
        source="the API reference: multitask_strategy of every create; langgraphjs#864",
        exercised_by=(Exercise(f"same-{_endpoint}", 6),),
        breaks="the endpoint has a code path of its own, which creates its run without asking for the strategy",
        advice="create the run in one place, and let the endpoints differ only in what they do with it then",
    )(_same(_endpoint))


# --- clients are let go, and told ---------------------------------------------------------------------


def _bounded(how: How) -> Oracle:
    def oracle(thread: Thread) -> Iterator[Judgement]:
        """Judges clients of runs that were read as ended: each is let go within a deadline of that."""
        for run in thread.runs.values():
            ended = run.ended_at
            if ended is None or not run.accepted:
                continue
            for client in clients_of(run):
                if client.how != how or client.call.status in (NO_EFFECT | PERHAPS):
                    continue
                late = (client.call.received or 0) - max(ended.call.until, client.call.sent)
                if client.held and late >= RELEASE_S:
                    observed = f"held for {late:.1f} s after {run.tag} was read as {ended.status}"
                    yield Violation("released", observed, (run.read_fact(ended), client.unreleased_fact()))
                elif (kept := client.kept_fact(ended.call.until)) is not None:
                    observed = f"held for more than {RELEASE_S:g} s after {run.tag} was read as {ended.status}"
                    yield Violation("released", observed, (run.read_fact(ended), kept))
                elif not client.held and run.displacements:
                    yield Exercised(overlap=any(d.must for d in run.displacements))

    return oracle


_STAYS = {
    "wait": "A client that waits for the run it created (/runs/wait)",
    "join": "A client that joins a run",
    "stream": "A client that reads a run's stream, created with it or joined later,",
}
for _how, _who in _STAYS.items():
    requirement(
        f"endpoint.bounded.{_how}",
        MUST,
        f"{_who} is released soon after the run was displaced, cancelled or deleted.",
        source="the API reference: they return when the run is over",
        exercised_by=(Exercise("clients-wait", 4),)
        if _how == "wait"
        else (Exercise("clients-stream", 4), Exercise("clients-late", 0)),
        breaks="only the worker that ends a run releases its clients: a pending run has none, and a deleted one is "
        "forgotten with its clients waiting",
        advice="release the clients where the run's end is stored, whoever stores it",
    )(_bounded(_how))  # type: ignore[arg-type]


@requirement(
    "endpoint.tells",
    SHOULD,
    "A client of a run that was displaced, cancelled or deleted can tell from what it got that the run did not finish.",
    source="the API reference implies it: an error event, or __error__ in the values",
    exercised_by=(Exercise("clients-wait", 2), Exercise("clients-stream", 2)),
    breaks="clients get the state as it is, as if the run had come to its end",
    advice="end the stream with an error event, and the answer with __error__; until then, read the run's status",
)
def tells(thread: Thread) -> Iterator[Judgement]:
    """Judges what clients got of runs that certainly were stopped by others."""
    for run in thread.runs.values():
        by = next((d for d in run.displacements if d.must is not None), None)
        final = run.final
        if by is None or by.must is None or final is None or final.status not in ("interrupted", GONE):
            continue
        for client in clients_of(run):
            if not client.answered or client.call.sent > by.call.sent:
                continue
            if client.tells:
                yield Exercised()
            else:
                proof = (by.must, _call(thread, by), run.final_fact(), client.got_fact())
                seen = proof[-1].text
                yield Violation(f"an error: {run.tag} did not finish", seen, proof)


def _call(thread: Thread, by: Displacement) -> Fact:
    return call_fact(thread, by)


# --- a stream's events --------------------------------------------------------------------------------


@requirement(
    "endpoint.own-events",
    MUST,
    "A run's stream carries that run's events only, in their order, and all of them for every reader.",
    source="the API reference: stream the run's events; reported from the field",
    exercised_by=(Exercise("own-events", 2),),
    breaks="streams are kept by thread and not by run, or the second reader takes events away from the first",
    advice="keep an append-only log of events for each run; each reader has a position of its own",
)
def own_events(thread: Thread) -> Iterator[Judgement]:
    """Compares the states that streams show with whose input they hold, and with what the run certainly did."""
    for run in thread.runs.values():
        for client in clients_of(run):
            if client.how != "stream" or not any(_shows(other) for other in clients_of(run)):
                continue
            problem = _foreign(run, client) or _backwards(client) or _lacking(run, client)
            if problem is not None:
                yield Violation(*problem)
            elif _shows(client):
                yield Exercised(overlap=len(thread.runs) > 1)


Problem = tuple[str, str, tuple[Fact, ...]]


def _shows(client: Client) -> bool:
    return client.how == "stream" and any(e[0] == "values" for e in client.events)


def _foreign(run: Run, client: Client) -> Problem | None:
    for i, event in enumerate(client.events):
        if event[0] == "values" and event[1] not in (None, run.tag):
            seen = client.event_fact(i)
            return f"events of {run.tag} only", seen.text, (seen,)
    return None


def _backwards(client: Client) -> Problem | None:
    shown = [(i, e[2]) for i, e in enumerate(client.events) if e[0] == "values"]
    for (i, before), (j, after) in itertools.pairwise(shown):
        if after < before:
            facts = (client.event_fact(i), client.event_fact(j))
            return "states in their order", f"a state with {after} entries after one with {before}", facts
    return None


def _lacking(run: Run, client: Client) -> Problem | None:
    """Supersteps that a gate, its own or that of a run before it, certainly kept from ending before the stream was
    open, and that it does not show."""
    connected, found = client.got.get("connected"), run.found
    complete = client.answered and not client.tells and run.final is not None and run.final.status == "success"
    if not complete or connected is None or found is None or not run.undisturbed:
        return None
    lengths = {e[2] for e in client.events if e[0] == "values"}
    first, why = next(_kept_back(run, connected), (run.length, ()))
    missing = [s for s in range(first, run.length) if found["log"] + s + 1 not in lengths]
    if not missing:
        return None
    proof = (run.final_fact(), *why, client.lacks_fact(missing[0]))
    return "every superstep after it was opened", proof[-1].text, proof


def _kept_back(run: Run, connected: float) -> Iterator[tuple[int, tuple[Fact, ...]]]:
    """Supersteps of the run that were certainly not over at that instant, the first that is known before others."""
    for other in run.thread.runs.values():
        for step in other.enters if other is not run else ():
            held, opened = other.held_fact(step), other.release(step)
            started = next((after for later, after in run.thread.after(other, step + 1) if later is run), None)
            if held is not None and opened is not None and opened.at >= connected and started is not None:
                yield 0, (held, started)
    for step in sorted(run.enters):
        held, opened = run.held_fact(step), run.release(step)
        if held is not None and opened is not None and opened.at >= connected:
            yield step, (held,)


# --- runs without a thread ----------------------------------------------------------------------------


ITS_OWN_THREAD = "accepted: it has no thread but its own"


def _stateless_fact(call: Call) -> Fact:
    said = {"strategy": call.request.get("strategy"), "endpoint": call.request.get("endpoint", "runs")}
    said |= {"thread": call.thread, "answer": shown(call)}
    return fact("stateless", (call.n,), run=call.tag, sent=call.sent, at=call.until, **said)


@requirement(
    "endpoint.stateless",
    MUST,
    "Runs that are created without a thread disturb no thread, and not one another.",
    source='the API reference: stateless runs; S0 "different threads are independent"',
    exercised_by=("stateless", "stateless-beside"),
    breaks="the temporary thread is not the run's own, or its strategy is applied to whatever executes",
    advice="give each such run a thread of its own, and delete that with it",
)
def stateless(thread: Thread) -> Iterator[Judgement]:
    """Looks for runs without a thread in this one, for what became of runs that were held meanwhile, and for what
    such runs did to one another."""
    calls = [c for c in thread.facts.calls if c.op == "stateless"]
    if thread is next(iter(thread.facts.threads.values())):
        yield from _met_one_another(calls, thread.facts.told)
    for call in calls:
        if call.status in (404, 405, 501):
            yield Inapplicable(f"POST /runs is answered {call.status}")
            continue
        strayed = _strayed(thread, call)
        if strayed is not None:
            yield Violation(f"nothing of {call.tag} on a thread", strayed.text, (strayed,))
            continue
        for run in thread.runs.values():
            yield from _disturbed(run, call)


def _met_one_another(calls: Sequence[Call], announced: Sequence[Told]) -> Iterator[Judgement]:
    """One executes while another one is created: that is accepted, and does not stop it."""
    for first, second in itertools.permutations(calls, 2):
        told = [t for t in announced if t.tag == first.tag]
        entered = next((t for t in told if t.kind == "enter" and t.at <= second.sent), None)
        if first.ok and entered is not None:
            yield from _beside(first, entered, told, second)


def _beside(first: Call, entered: Told, told: Sequence[Told], second: Call) -> Iterator[Judgement]:
    stopped = next((t for t in told if t.kind in ("cancelled", "swallowed") and t.at >= second.sent), None)
    if second.status == 409:
        proof = (_stateless_fact(first), _told_fact(entered), _stateless_fact(second))
        yield Violation(ITS_OWN_THREAD, proof[-1].text, proof)
    elif second.ok and stopped is not None:
        proof = (_stateless_fact(first), _stateless_fact(second), _told_fact(stopped))
        yield Violation(f"{first.tag} comes to its own end", proof[-1].text, proof)
    elif second.ok and any((t.kind, t.step) == ("leave", entered.step) and t.at >= second.until for t in told):
        yield Exercised(overlap=True)


def _told_fact(told: Told) -> Fact:
    return fact("told", (told.n,), run=told.tag, what=told.kind, step=told.step, at=told.at)


def _strayed(thread: Thread, call: Call) -> Fact | None:
    places: list[tuple[Call, str, Callable[[Call], bool]]] = [
        (c, "list of runs", lambda c: any(r["tag"] == call.tag for r in c.answer)) for c in thread.lists
    ]
    if thread.head is not None:
        places.append((thread.head, "messages", lambda c: any(m[2] == call.tag for m in c.answer["messages"])))
    for read, where, names in places:
        if names(read):
            said = {"of": call.thread, "answer": shown(call), "where": where}
            return fact("strayed", (read.n, call.n), thread=thread.name, run=call.tag, sent=read.sent, **said)
    return None


def _disturbed(run: Run, call: Call) -> Iterator[Judgement]:
    """A gate held it over the call: that is refused for it, or nothing else may have ended the run, and it was
    stopped."""
    for step, entered in run.enters.items():
        held, opened = run.held_fact(step), run.release(step)
        if held is None or opened is None or entered.at > call.sent or opened.at < call.until:
            continue
        if call.status == 409:
            refused = _stateless_fact(call)
            yield Violation(ITS_OWN_THREAD, refused.text, (held, refused))
        elif not run.undisturbed or run.final is None:
            pass
        elif run.final.status == run.ending:
            yield Exercised()
        elif run.final.status in STOPPED:
            proof = (held, _stateless_fact(call), run.undisturbed_fact(), run.final_fact())
            yield Violation(f"{run.tag} ends by itself", f"{run.tag} ended {run.final.status}", proof)
        return
