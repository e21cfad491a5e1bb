"""``doubletext doctor``: can this target be checked, by which gate, in which dialect, and what to do where not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from conformance.dialects import DIALECTS, SWITCHES, Dialect
from conformance.execution.client import Address, Client
from conformance.execution.director import Execution
from conformance.execution.features import Features
from conformance.execution.hello import TRANSPORTS
from conformance.execution.listener import Listener, listening
from conformance.execution.preflight import Surveyed, TargetUnusable, survey
from conformance.execution.scene import TargetLost, clean_up
from conformance.execution.session import Bounds, Session, Transport
from conformance.history import Call, History, Told
from conformance.programs import Program, emit, gate, program
from conformance.requirements.base import Observed
from conformance.scenarios import queued_displaced
from conformance.verdicts import judge

DOING = {
    "server": "a run of the assistant was created",
    "assistant": "a first run was executed, and a gate tried",
    "gate": "its latency was measured and its worker slots were counted",
}
"""What is done when this has been learned."""
LONGEST_S = 60.0  # the whole examination, whatever the target does
FEW_SLOTS = 4
SLOW_START_S = 2.0
PENDING = {
    f"{kind}: {text}": value
    for kind in ("interrupt", "rollback")
    for value, text in SWITCHES["displaced_pending"].values.items()
}
WITHOUT: dict[str, str] = {
    "/runs/wait": "what is demanded of it cannot be judged",
    "/runs/stream": "what is demanded of it cannot be judged; without streams the probe's last way to be heard is gone",
    "join": "clients must poll; what is demanded of joins cannot be judged",
    "join-stream": "clients must poll; what is demanded of joins cannot be judged",
    "list of runs": "overlaps are proven by gates alone, and lost answers cannot be attributed",
    "state": "nothing that is judged from the final state can be",
    "history (POST)": "the history is read by GET instead, if that works",
    "history (GET)": "the history is read by POST instead, if that works",
    "update-state": "what is demanded of it cannot be judged",
    "cancel": "what is demanded of it cannot be judged",
    "bulk cancel": "cancel runs one by one",
    "stateless runs": "what is demanded of them cannot be judged",
    "Store API": "gates must travel by callback: the target must reach this machine's loopback",
    "Store API search": "announcements cannot be fetched from the store: the target must reach this machine's loopback",
    "openapi.json": "input is tried by the subset that ships with doubletext",
}


@dataclass(frozen=True)
class Finding:
    """One question and its answer; ``advice``: what to do about a no."""

    topic: str
    ok: bool
    text: str
    advice: str = ""


@dataclass
class Diagnosis:
    """All that was found. ``usable``: a check can be made."""

    url: str
    assistant: str
    findings: list[Finding] = field(default_factory=list)
    server: Mapping[str, Any] = field(default_factory=dict)
    gates: dict[str, bool] = field(default_factory=dict)
    latency_ms: dict[str, float] = field(default_factory=dict)
    slots: int | None = None
    features: dict[str, bool] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)  # values of dialect switches
    dialect: str = "agent-server"
    usable: bool = False
    doing: str = "it was asked who it is"  # last, in words that follow "while"

    def add(self, topic: str, ok: bool, text: str, advice: str = "") -> None:
        """One more finding; the advice is given only where it is needed."""
        self.findings.append(Finding(topic, ok, text, "" if ok else advice))

    def to_json(self) -> dict[str, Any]:
        """As one JSON value."""
        return {
            "url": self.url,
            "usable": self.usable,
            "server": self.server.get("server"),
            "version": self.server.get("version"),
            "assistant": self.assistant,
            "gates": self.gates,
            "latency_ms": self.latency_ms,
            "slots": self.slots,
            "features": self.features,
            "measured": self.measured,
            "dialect": self.dialect,
            "findings": [vars(f) for f in self.findings],
        }


async def examine(address: Address, settle: float | None = None) -> Diagnosis:
    """Look at the target, for a minute at most. What was learned before that, or before it failed, stands."""
    diagnosis = Diagnosis(address.shown, address.assistant)
    async with listening() as listener:
        client = Client(address)
        made: set[str] = set()
        try:
            with anyio.move_on_after(LONGEST_S) as scope:
                await _examine(diagnosis, client, listener if address.loopback else None, settle, made)
            if scope.cancelled_caught:
                advice = "Is it overloaded, or hung? Do its runs still start and end? Look at its log, and try again"
                text = f"broken off after {LONGEST_S:g} s, while {diagnosis.doing}: the rest is not known"
                diagnosis.add("time", False, text, advice)
        finally:
            await clean_up(Session(client, "stream", Bounds(), Dialect(), threads=made))
            with anyio.CancelScope(shield=True), anyio.move_on_after(10):
                await client.close()
    return diagnosis


async def _examine(
    d: Diagnosis, client: Client, listener: Listener | None, settle: float | None, made: set[str]
) -> None:
    known: dict[str, Any] = {}

    def learned(what: str, value: Any) -> None:
        known[what] = value
        d.doing = DOING.get(what, d.doing)
        match what:
            case "reachable":
                d.add("reachable", True, f"GET /info answers {value}")
            case "server":
                d.server = value
                name = " ".join(str(value[k]) for k in ("server", "version") if value.get(k))
                d.add("Agent Server", True, name or "it creates threads; GET /info names no server")
            case "assistant":
                d.add("assistant", True, f"a run of {value!r} is accepted")

    try:
        surveyed = await survey(client, listener, Dialect(), settle, learned, brief=True)
    except TargetUnusable as e:
        topics = {None: "reachable", "reachable": "Agent Server", "server": "assistant", "assistant": "probe"}
        said, _, advice = str(e).partition(". ")
        d.add(topics.get(next(reversed(known), None), "survey"), False, said, advice or await _assistants(client))
        return
    d.usable = True
    d.add("probe", True, "it announces what it does")
    _measured(d, surveyed)
    d.doing = "its gates, its features and its dialect were tried"
    session = replace(surveyed.session, bounds=replace(surveyed.session.bounds, quiet=0.0), threads=made)
    features = Features(client, made)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_try_gates, d, session, listener)
        tasks.start_soon(features.look)
        tasks.start_soon(_measure_dialect, d, session)
    _tell_features(d, features)
    d.dialect, why = propose(d.measured)
    d.add("dialect", True, why)


def _measured(d: Diagnosis, surveyed: Surveyed) -> None:
    latency = surveyed.latency
    d.latency_ms = {name: round(seconds * 1000, 1) for name, seconds in latency.items()}
    text = ", ".join(f"{name} {value:g} ms" for name, value in d.latency_ms.items())
    slow = "runs start late, so the check takes long. Raise the number of workers, or let its queue poll oftener"
    d.add("latency", latency["start"] < SLOW_START_S, text, slow)
    d.slots = surveyed.slots
    few = "the check takes longer. Start it with more workers (langgraph dev: --n-jobs-per-worker 10)"
    d.add("worker slots", d.slots >= FEW_SLOTS, f"{d.slots} runs execute at once", few)


# --- gates ----------------------------------------------------------------------------------------


def _gated() -> Program:
    begun = program("doctor").create("A", "enqueue", emit(), gate("g"), emit())
    return begun.until_inside("A", "g").open("g").until_ended("A", needed=False)


async def _try_gates(d: Diagnosis, session: Session, listener: Listener | None) -> None:
    works: dict[str, bool] = {}

    async def one(transport: Transport) -> None:
        bounds = replace(session.bounds, reach=min(session.bounds.reach, 6.0), settle=8.0, timed=0.3)
        own = replace(session, transport=transport, bounds=bounds)
        try:
            history = await Execution(own, _gated()).run(anyio.CapacityLimiter(1))
        except TargetLost:
            return
        works[transport] = {r.kind for r in history.of(Told)} >= {"enter", "leave"}

    async with anyio.create_task_group() as tasks:
        for transport in TRANSPORTS:
            if transport == session.transport:
                works[transport] = True
            elif transport != "callback" or listener is not None:
                tasks.start_soon(one, transport)
    d.gates = {transport: works.get(transport, False) for transport in TRANSPORTS}
    for transport in TRANSPORTS:
        used = ", and is used" if transport == session.transport else ""
        text = f"works{used}" if d.gates[transport] else "does not work"
        if transport == "callback" and listener is None:
            text = "not tried: the target is not on this machine"
        d.add(f"gate: {transport}", d.gates[transport], text, _gate_advice(transport, d.gates))


def _gate_advice(transport: str, gates: Mapping[str, bool]) -> str:
    if transport != "stream" and (gates["callback"] or gates["store"]):
        return "nothing to do: the other one will do"
    return {
        "callback": "run doubletext where the target runs, so that its nodes reach 127.0.0.1",
        "store": "give the graph a store; until then gates are timed, and overlaps count only where lists prove them",
        "stream": "nothing to do: it is used only where neither of the others works",
    }[transport]


# --- the dialect ----------------------------------------------------------------------------------


def _refused() -> Program:
    """A create(reject), and one without strategy, beside a held run; and the control, on an idle thread."""
    begun = program("doctor refusals").create("D", "reject", emit()).until_ended("D")
    begun = begun.create("A", "enqueue", emit(), gate("g"), emit()).until_inside("A", "g")
    return begun.create("B", "reject", emit()).create("C", None, emit()).read().open("g").until_ended("A")


async def _measure_dialect(d: Diagnosis, session: Session) -> None:
    programs = (_refused(), queued_displaced("interrupt"))

    async def one(program: Program) -> None:
        try:
            history = await Execution(session, program).run(anyio.CapacityLimiter(1))
        except TargetLost:
            return
        d.measured.update(classified(history))

    async with anyio.create_task_group() as tasks:
        for p in programs:
            tasks.start_soon(one, p)


def classified(history: History) -> dict[str, Any]:
    """What a history tells of the switches."""
    found: dict[str, Any] = {}
    ids = ("reject.conflict", "default.strategy", "displaced.pending")
    judged = judge(history, ids)
    policies = {id: [j.policy for j in judged[id].judgements if isinstance(j, Observed)] for id in ids}
    if policies["default.strategy"]:
        found["default_strategy"] = policies["default.strategy"][0]
    if policies["displaced.pending"] and policies["displaced.pending"][0] in PENDING:
        found["displaced_pending"] = PENDING[policies["displaced.pending"][0]]
    if judged["reject.conflict"].exercised:
        creates = [c for c in history.of(Call) if c.op == "create" and c.request.get("strategy") == "reject"]
        found["refusal_code"] = next((c.status for c in creates if c.status is not None and not c.ok), None)
    return {name: value for name, value in found.items() if value is not None}


def propose(measured: Mapping[str, Any]) -> tuple[str, str]:
    """The built-in dialect that fits what was measured, and why; ``custom`` where none does."""
    code = measured.get("refusal_code")
    if code is None:
        return "agent-server", "agent-server, the default: no refusal of a create(reject) was seen"
    because = f"create(reject) beside a held run was answered {code}"
    for dialect in DIALECTS.values():
        pinned = {n: getattr(dialect, n) for n, s in SWITCHES.items() if s.pins and getattr(dialect, n) is not None}
        if dialect.refusal_code == code and all(measured.get(n) == v for n, v in pinned.items()):
            return dialect.name, f"{dialect.name}: {because}"
    if code in SWITCHES["refusal_code"].values:
        return "custom", f"none fits: {because}. Write `refusal_code = {code}` into a file and give it to --dialect"
    return "agent-server", f"agent-server, though {because}: reject.code will fail"


def _tell_features(d: Diagnosis, features: Features) -> None:
    d.features = {name: f.ok for name, f in sorted(features.found.items())}
    d.measured.update({name: value for name, value in features.policies.items() if name != "update_state_busy"})
    if d.features.get("update-state") and "update_state_busy" in features.policies:
        d.measured["update_state_busy"] = features.policies["update_state_busy"]
    for name, advice in WITHOUT.items():
        if name in features.found:
            d.add(name, features.found[name].ok, features.found[name].text, advice)
        elif name != "Store API search" or d.features.get("Store API"):
            d.add(name, False, "not tried: what it builds on did not work", advice)


async def _assistants(client: Client) -> str:
    """What to do where the assistant is not there: it may be called otherwise."""
    try:
        answer = await client.http.post("/assistants/search", json={"limit": 10})
        names = sorted({str(a["graph_id"]) for a in answer.json()})
    except Exception:  # an extra, on a target that is not usable: whatever is wrong with it was said already
        return ""
    return client.address.redactor().text(f"It has {', '.join(names)}") if names else ""
