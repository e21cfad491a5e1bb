"""From records to text: what each record looks like, and where in time it stands.

The drawing says what people look for. Whatever it leaves out is found by reading it back, and is written
below it as notes: so the text always gives the very same history.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from conformance.facts import Entry, Facts, parse_log, targets
from conformance.history import WITHOUT_PROBE, Call, Epilogue, GateOpened, History, Record, Remark, Told
from conformance.notation.building import CALLS, DEADLINE_S, READS, STOP_S, WAITED_S
from conformance.notation.channels import Channels, show_entry
from conformance.notation.cursor import Words
from conformance.notation.document import DEFAULT_DIALECT, Document, show_step
from conformance.notation.states import States
from conformance.notation.words import BARE, Item, join, ms_of, quoted, words_of, written

UNDRAWN = frozenset({"aimed", "answered", "burst", "returned"})  # remarks that tell people nothing
_VERB_OF = {op: verb for verb, op in (*CALLS.items(), *READS.items()) if op}
_KEY = re.compile(r"[A-Za-z0-9_]+")
DRAWN_CHANNELS = ("log", "counter", "note", "tag", "run", "source", "messages")


@dataclass
class Drawn:
    """One record as text: lane, what happened, and what was answered (None: nothing is)."""

    n: int
    lane: str
    head: str
    tail: str | None
    start: float
    end: float


@dataclass
class Names:
    """Short names of this history's scripts and checkpoints."""

    history: History
    scripts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    created: dict[str, str] = field(default_factory=dict)
    threads: dict[str, str] = field(default_factory=dict)
    checkpoints: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)  # by what it is: name and value
    metadata: Any = None
    clock: str = "k"
    phases: dict[int, str] = field(default_factory=dict)  # what the phase of a call is, where nothing is said

    @property
    def tags(self) -> set[str]:
        """Tags of runs that have a script."""
        return set(self.scripts)


def names_of(history: History) -> Names:
    """Collects what the drawing refers to by name."""
    names = Names(history)
    metadata: dict[str, tuple[int, Any]] = {}
    ended: set[str] = set()
    for record in history.records:
        match record:
            case Call(op="create" | "stray", tag=str(tag)):
                names.scripts.setdefault(tag, list(record.request.get("steps") or []))
            case Told():
                names.clock = record.clock if names.clock == "k" else names.clock
            case Epilogue():
                ended.add(record.thread)
        if isinstance(record, Call):
            names.phases[record.n] = "final" if record.op in READS.values() and record.thread in ended else "body"
            _learn(names, record, metadata)
    if metadata:
        names.metadata = max(metadata.values(), key=lambda pair: pair[0])[1]
    _name_checkpoints(names)
    return names


def _learn(names: Names, call: Call, metadata: dict[str, tuple[int, Any]]) -> None:
    answer = call.answer
    rows = answer if isinstance(answer, list) else [answer]
    for row in rows if call.op in ("create", "stray", "get_run", "list_runs") else []:
        if isinstance(row, dict) and isinstance(row.get("tag"), str) and isinstance(row.get("run_id"), str):
            names.runs.setdefault(row["tag"], row["run_id"])
            if isinstance(row.get("created_at"), str):
                names.created.setdefault(row["tag"], row["created_at"])
    if call.op == "get_thread" and isinstance(answer, dict) and "metadata" in answer:
        n, _ = metadata.get(key := quoted(answer["metadata"]), (0, None))
        metadata[key] = (n + 1, answer["metadata"])
    if call.op == "create_thread" and isinstance(answer, dict) and isinstance(answer.get("thread_id"), str):
        names.threads.setdefault(call.thread, answer["thread_id"])


def _name_checkpoints(names: Names) -> None:
    """Names for all that are read, the oldest first; short ids name themselves."""
    taken: set[str] = {"head"}
    for call in names.history.of(Call):
        chain = call.answer if isinstance(call.answer, list) else [call.answer]
        if call.op not in ("get_history", "get_state") or not all(map(_is_checkpoint, chain)):
            continue
        for checkpoint in reversed(chain):
            own = {k: v for k, v in checkpoint.items() if k not in ("entries", "tool_calls", "tool_results")}
            key = quoted(own)
            if key in names.checkpoints or (call.op == "get_state" and own["id"] == "head" and not own["parent"]):
                continue
            name = str(own["id"])
            if len(name) > 12 or name in taken or written(name) != name or _is_entry(names, name):
                i = len(names.checkpoints)
                name = next(c for c in _counted(i) if c not in taken and not _is_entry(names, c))
            taken.add(name)
            names.checkpoints[key] = (name, own)


def _counted(i: int) -> Iterator[str]:
    for prefix in ("c", "cp", "checkpoint", "ccc", "zzzz"):
        yield f"{prefix}{i}"
    j = 0
    while True:
        j += 1
        yield f"point.{i}.{j}"


def _is_entry(names: Names, name: str) -> bool:
    return any(name.startswith(tag) and name[len(tag) :].isdigit() for tag in names.tags)


def _is_checkpoint(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(k in value for k in ("id", "parent", *DRAWN_CHANNELS))
        and isinstance(value["id"], str)
        and isinstance(value["log"], list)
        and all(isinstance(e, str) and re.fullmatch(r".*:\d{1,9}", e, re.S) for e in value["log"])
        and all(not (e.rpartition(":")[2] != "0" and e.rpartition(":")[2].startswith("0")) for e in value["log"])
        and isinstance(value["note"], str)
        and (value["tag"] is None or isinstance(value["tag"], str))
    )


# --- words of a record ----------------------------------------------------------------------------


class Painter:
    """Says what each record looks like."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.facts = Facts(names.history)
        self.finds: dict[int, str] = {}  # what a superstep found, by record, where that has to be said

    def draw(self, record: Record) -> Drawn:
        """One record as text."""
        match record:
            case Call():
                return self._call(record)
            case Told():
                lane = f"run {record.tag}" if record.tag else "probe"
                kind = record.kind if record.kind not in ("=", "<") else quoted(record.kind)
                head = join(written(kind), str(record.step), self.finds.get(record.n, ""), self._told_more(record))
                head = head if record.tag else join(written(record.tag), head)
                return Drawn(record.n, lane, head, None, record.at, record.at)
            case GateOpened():
                tail = "done" if record.done != record.sent else None
                return Drawn(record.n, "harness", join("open", written(record.key)), tail, record.sent, record.done)
            case Epilogue():
                return Drawn(record.n, "harness", _epilogue(record), None, record.at, record.at)
            case Remark():
                return Drawn(record.n, "harness", _remark(record), None, record.at, record.at)

    def _told_more(self, record: Told) -> str:
        names, more = self.names, []
        if record.kind == "leave" and record.detail.get("gate_opened") is False:
            more.append("expired")
        own = names.runs.get(record.tag, f"run-{record.tag}")
        if record.run != own:
            other = next((t for t, id in names.runs.items() if id == record.run and t in names.tags), None)
            more += ["under", "nobody" if record.run is None else written(other) if other else quoted(record.run)]
        if record.clock != names.clock:
            more += ["clock", written(record.clock)]
        return join(more)

    def found(self, record: Told) -> str | None:
        """The log that a superstep found, where some known log has its hash."""
        found = record.detail.get("found")
        if not isinstance(found, dict):
            return None
        thread = next((t for t in self.facts.threads.values() if record.tag in t.runs), None)
        for log in self._logs() if thread is not None else []:
            if thread is not None and found.get("log") == len(log) and found.get("log_hash") == thread.hash_of(log):
                channels = Channels.after(log, self.names.scripts)
                more = [] if found.get("counter") == channels.counter else ["counter", str(found.get("counter"))]
                more += [] if found.get("note") == channels.note else ["note", quoted(str(found.get("note")))]
                words = [show_entry(e, self.names.tags) for e in log] or ["nothing"]
                return join("found", words, more)
        return None

    def _logs(self) -> Iterator[list[Entry]]:
        seen: set[tuple[Entry, ...]] = set()
        for _, value in reversed(self.names.checkpoints.values()):
            log = parse_log(value["log"])
            for i in range(len(log) + 1):
                if (prefix := tuple(log[:i])) not in seen:
                    seen.add(prefix)
                    yield list(prefix)
        heads = [t.log for t in self.facts.threads.values() if t.head is not None and _is_checkpoint(t.head.answer)]
        for log in heads:
            yield from (log[:i] for i in range(len(log) + 1))

    def _call(self, call: Call) -> Drawn:
        verb = _VERB_OF.get(call.op, "call")
        of_run = verb in ("create", "stray", "cancel", "join", "stream", "get")
        making = verb in ("create", "stray")
        if of_run and (call.tag is None or (making and call.tag not in self.names.tags)):
            verb, making = "call", False
        if verb == "cancel-many" and call.tag is not None:
            verb = "call"
        head = [verb if call.phase == self.names.phases[call.n] else f"{call.phase}:{verb}"]
        if verb == "call":
            head += [written(call.op), *(["of", written(call.tag)] if call.tag is not None else [])]
        elif of_run:
            head.append(written(call.tag or ""))
        if making:
            strategy = call.request.get("strategy")
            head.append("default" if strategy is None else written(str(strategy)))
            head += ["via", written(str(call.request["endpoint"]))] if "endpoint" in call.request else []
            head += ["if-missing"] if call.request.get("if_not_exists") == "create" else []
        elif verb == "cancel-many":
            head += [written(str(call.request.get("action"))), *map(written, targets(call))]
        elif verb == "cancel":
            head += [written(str(call.request.get("action"))), *(["wait"] if call.request.get("wait") is True else [])]
            head += ["form", written(str(call.request["form"]))] if "form" in call.request else []
        if call.group is not None:
            head += ["in", written(call.group)]
        if call.thread != self._thread_by_default(call, verb):
            head += ["on", written(call.thread)]
        received = call.received if call.received is not None and call.received >= call.sent else None
        end = call.sent if received is None else received
        return Drawn(call.n, call.client, join(head), self._answer(call, verb), call.sent, end)

    def _thread_by_default(self, call: Call, verb: str) -> str:
        if call.tag is None or verb in ("create", "stray"):
            return "t"
        creates = [c for c in self.facts.calls if c.op == "create" and c.tag == call.tag]
        return creates[-1].thread if creates else "t"

    def _answer(self, call: Call, verb: str) -> str:
        if call.received is None:
            return "never"
        if call.status is None:
            return join("lost", [quoted(call.error)] if call.error is not None else [])
        if call.status == 200 and not call.error and (nice := self._nice(call, verb)) is not None:
            return nice
        return f"{call.status:03d}" if 0 <= call.status <= 999 else "200"

    def _nice(self, call: Call, verb: str) -> str | None:
        answer = call.answer
        match verb:
            case "get" if isinstance(answer, dict):
                return _status(answer.get("status"))
            case "list" if isinstance(answer, list) and all(isinstance(r, dict) for r in answer):
                rows = [
                    join(written(str(r["tag"])) if r.get("tag") is not None else "nobody", _status(r.get("status")))
                    for r in answer
                ]
                return join(rows) or "nothing"
            case "thread" if isinstance(answer, dict):
                return join(_status(answer.get("status")), self._values(answer.get("values")))
            case "state" if _is_checkpoint(answer):
                return self._state(answer)
            case "history" if isinstance(answer, list) and all(map(_is_checkpoint, answer)):
                known = [self.names.checkpoints.get(quoted(c)) for c in answer]
                return join(name[0] for name in known if name is not None) or "nothing"
        return None

    def _values(self, values: Any) -> str:
        if not isinstance(values, dict):
            return ""
        keys = ("tag", "log", "counter", "note", "messages")
        for name, value in reversed(self.names.checkpoints.values()):
            if all(values.get(k) == value.get(k) for k in keys):
                return f"values {name}"
        whole = {"run": None, "source": "loop", "id": "head", "parent": None, **values}
        return join("values", self.channels(whole, ("log", "tag", "counter", "note"))) if _is_checkpoint(whole) else ""

    def _state(self, answer: Mapping[str, Any]) -> str:
        own = {k: v for k, v in answer.items() if k not in ("entries", "tool_calls", "tool_results")}
        known = self.names.checkpoints.get(quoted(own))
        return known[0] if known is not None else self.channels(own, ("log", "tag", "counter", "note", "messages"))

    def channels(self, value: Mapping[str, Any], say: tuple[str, ...]) -> str:
        """The words of a state, as far as ``say`` lists its parts."""
        log = parse_log(value["log"])
        words = [show_entry(e, self.names.tags) for e in log]
        default = Channels.after(log, self.names.scripts)
        tag = log[-1][0] if log else None
        if "tag" in say and value["tag"] != tag:
            tag = value["tag"]
            words += ["of", "nobody" if tag is None else written(tag)]
        if tag is not None:
            default.input(tag)
        run = None if tag is None else self.names.runs.get(tag, f"run-{tag}")
        if "run" in say and value["run"] != run and (value["run"] is None or isinstance(value["run"], str)):
            words += ["run", self._run_name(value["run"])]
        if "source" in say and value["source"] != "loop" and isinstance(value["source"], str):
            words += ["source", written(value["source"])]
        if "counter" in say and value["counter"] != default.counter and type(value["counter"]) is int:
            words += ["counter", str(value["counter"])]
        if "note" in say and value["note"] != default.note:
            words += ["note", written(value["note"])]
        if (
            "messages" in say
            and value["messages"] != default.messages
            and (of := _inputs(value["messages"])) is not None
        ):
            words += ["inputs", *(of or ["nothing"])]
        return join(words) or "nothing"

    def _run_name(self, id: str | None) -> str:
        if id is None:
            return "nobody"
        tag = next((t for t, i in self.names.runs.items() if i == id and t in self.names.tags), None)
        return written(tag) if tag is not None and written(tag) == tag else quoted(id)


def _inputs(messages: Any) -> list[str] | None:
    """The tags of messages that are inputs and nothing else."""
    tags = []
    for message in messages if isinstance(messages, list) else [None]:
        if not isinstance(message, list) or len(message) != 3 or not isinstance(message[2], str):
            return None
        if message != ["human", f"in-{message[2]}", message[2]]:
            return None
        tags.append(written(message[2]))
    return tags


def _status(status: Any) -> str:
    return written(status) if isinstance(status, str) else "none"


def _seconds(value: float) -> str:
    return repr(value)


def _epilogue(record: Epilogue) -> str:
    words = ["settled" if record.settled else "unsettled", *map(written, record.unsettled)]
    words += ["on", written(record.thread)] if record.thread != "t" else []
    words += ["waited", _seconds(record.waited)] if record.waited != WAITED_S else []
    words += ["deadline", _seconds(record.deadline)] if record.deadline != DEADLINE_S else []
    words += ["status", written(record.thread_status)] if record.thread_status is not None else []
    return join(words)


def _remark(record: Remark) -> str:
    detail = record.detail
    tag = detail.get("tag")
    if record.kind == "answered" and isinstance(tag, str) and len(detail) == 1:
        return join("answered", written(tag))
    if record.kind == "stop-waited" and isinstance(tag, str):
        words = ["stop-waited", written(tag), *(["told"] if detail.get("told") is True else [])]
        words += ["waited", _seconds(detail["waited"])] if detail["waited"] != STOP_S else []
        return join(words, ["deadline", _seconds(detail["deadline"])] if detail["deadline"] != STOP_S else [])
    return join("remark", written(record.kind), quoted(dict(detail)) if detail else [])


# --- the rest of the text -------------------------------------------------------------------------


def headers(names: Names) -> list[str]:
    """Everything above the drawing."""
    history, lines = names.history, []
    program = history.program
    if program != {"name": "made", "family": "made", "moves": []}:
        lines.append(f"program: {_program(program)}")
    if history.transport != "callback":
        lines.append(f"transport: {history.transport}")
    if history.dialect != DEFAULT_DIALECT:
        lines.append(f"dialect: {quoted(history.dialect)}")
    if history.instance:
        lines.append(f"instance: {quoted(history.instance)}")
    if history.target:
        lines.append(f"target: {quoted(history.target)}")
    if names.clock != "k":
        lines.append(f"clock: {quoted(names.clock)}")
    if names.metadata is not None and names.metadata != {"doubletext": True} and isinstance(names.metadata, dict):
        lines.append(f"metadata: {quoted(names.metadata)}")
    for tag, steps in names.scripts.items():
        if history.transport == WITHOUT_PROBE and not steps:
            continue
        own = tag if BARE.fullmatch(tag) and tag not in ("id", "created") else quoted(tag)
        lines.append(join(f"{own} =", (show_step(s) or quoted(s) for s in steps)))
    return lines


def _program(program: Mapping[str, Any]) -> str:
    name, family = str(program["name"]), str(program["family"])
    short = name if family == name else f"{name} of {family}"
    plain = re.fullmatch(r"[A-Za-z0-9_./+, -]+", short) and short.count(" of ") == (family != name)
    if plain and short == short.strip() and program == {"name": name, "family": family, "moves": []}:
        return short
    return quoted(program)


def checkpoints(names: Names, painter: Painter) -> list[str]:
    """The checkpoints that are read, the oldest first."""
    lines = []
    by_id = {value["id"]: name for name, value in names.checkpoints.values()}
    defaults = _Defaults(names)
    for name, value in names.checkpoints.values():
        parent = value["parent"]
        said = "" if parent is None else by_id[parent] if parent in by_id else quoted(parent)
        words = painter.channels(value, DRAWN_CHANNELS)
        if said in by_id.values():
            twin = next((n for n, v in names.checkpoints.values() if v["id"] == parent), said)
            said = twin if names.checkpoints else said
        drawn = defaults.checkpoint(words)
        rest = {k: v for k, v in value.items() if k not in ("id", "parent") and (k not in drawn or drawn[k] != v)}
        if not isinstance(parent, str | None):
            said, rest = "", {**rest, "parent": parent}
        lines.append(join(f"{name} <", said, words, [quoted(rest)] if rest else []))
    return lines


class _Defaults:
    """What the words of a checkpoint say when they are read back."""

    def __init__(self, names: Names) -> None:
        document = Document(scripts=names.scripts, ids={("run", t): i for t, i in names.runs.items()})
        self._builder = States(document)

    def checkpoint(self, words: str) -> dict[str, Any]:
        return self._builder.channels(Words(words_of(words, 0, 0), Item(0, 0)))


def ids(names: Names) -> list[str]:
    """What the target calls all these."""
    lines = [f"id run {written(t)} = {quoted(i)}" for t, i in names.runs.items() if i != f"run-{t}"]
    lines += [f"created run {written(t)} = {quoted(i)}" for t, i in names.created.items()]
    lines += [f"id thread {written(t)} = {quoted(i)}" for t, i in names.threads.items() if i != f"thread-{t}"]
    lines += [f"id checkpoint {n} = {quoted(v['id'])}" for n, v in names.checkpoints.values() if v["id"] != n]
    return lines


def differences(drawn: Record, record: Record) -> list[str]:
    """The notes that turn what the drawing says into what was recorded."""
    found: list[str] = []
    if type(drawn) is not type(record):
        raise TypeError(f"record #{record.n} was drawn as a {drawn.record}")
    for f in fields(record):
        old, new = getattr(drawn, f.name), getattr(record, f.name)
        found += _differ(
            f.name, list(old) if isinstance(old, tuple) else old, list(new) if isinstance(new, tuple) else new
        )
    return found


def _differ(path: str, old: Any, new: Any) -> Iterator[str]:
    if _same(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict) and all(_KEY.fullmatch(str(k)) for k in (*old, *new)):
        for key in sorted({*old, *new}):
            if key not in new:
                yield f"{path}.{key}=absent"
            elif key not in old:
                yield f"{path}.{key}={quoted(new[key])}"
            else:
                yield from _differ(f"{path}.{key}", old[key], new[key])
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, value in enumerate(new):
            yield from _differ(f"{path}.{i}", old[i], value)
    else:
        yield f"{path}={quoted(new)}"


def _same(old: Any, new: Any) -> bool:
    """Equal, and of the same JSON type: 1 is not true."""
    if isinstance(old, bool) != isinstance(new, bool):
        return False
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(old[k], new[k]) for k in new)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return bool(old == new)


def undrawn(drawn: Drawn) -> str:
    """A record that is not drawn."""
    return f"#{drawn.n} = {drawn.head} @{ms_of(drawn.start)}"
