"""From a document to records: what each item says, and the defaults of what it does not say."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from conformance.history import WITHOUT_PROBE, Call, Epilogue, GateOpened, History, Record, Remark, Told, well_formed
from conformance.notation.cursor import Words
from conformance.notation.document import ABSENT, DEFAULT_DIALECT, Document, Note
from conformance.notation.states import States, is_keyword, verb_of
from conformance.notation.words import BadNotation, Item, seconds_of

READS = {"get": "get_run", "list": "list_runs", "thread": "get_thread", "state": "get_state", "history": "get_history"}
WAITED_S, DEADLINE_S = 1.0, 20.0
STOP_S = 2.0


class Builder(States):
    """Builds the records of one document."""

    def __init__(self, document: Document) -> None:
        super().__init__(document, _numbered(document.items))
        self.ended: set[str] = set()  # threads whose epilogue was
        self.seq = 0

    # --- records -----------------------------------------------------------------------------------

    def record(self, n: int, item: Item) -> Record:
        """The record of one item."""
        assert item.start is not None
        assert item.end is not None
        if item.end < item.start:
            raise item.bad("expected its end after its beginning")
        phase, verb = verb_of(item)
        words = Words(item.head[1:], item)
        build: dict[str, Callable[[int, Item, Words], Record]] = {
            "open": self._open,
            "settled": self._settled,
            "unsettled": self._settled,
            "stop-waited": self._stop_waited,
            "answered": self._answered,
            "remark": self._remark,
        }
        if not item.head[0].bare or (verb not in build and verb not in CALLS):
            return self._told(n, item)
        if verb in build:
            return build[verb](n, item, words)
        return self._call(n, item, verb, phase, words)

    def _open(self, n: int, item: Item, words: Words) -> Record:
        assert item.start is not None
        assert item.end is not None
        key = words.take("a gate").text
        words.end("nothing behind the gate")
        return GateOpened(n, key, item.start, item.end)

    def _settled(self, n: int, item: Item, words: Words) -> Record:
        assert item.start is not None
        thread, waited, deadline, status = "t", WAITED_S, DEADLINE_S, None
        unsettled: list[str] = []
        while words:
            match words.keyword("on", "waited", "deadline", "status"):
                case "on":
                    thread = words.take("a thread").text
                case "waited":
                    waited = words.number("seconds")
                case "deadline":
                    deadline = words.number("seconds")
                case "status":
                    status = words.take("a status").text
                case _:
                    unsettled.append(words.take("a tag").text)
        self.ended.add(thread)
        settled = item.head[0].text == "settled"
        return Epilogue(n, item.start, thread, settled, waited, deadline, tuple(unsettled), status)

    def _stop_waited(self, n: int, item: Item, words: Words) -> Record:
        assert item.start is not None
        detail: dict[str, Any] = {"tag": words.take("a tag").text, "waited": STOP_S, "deadline": STOP_S, "told": False}
        while words:
            match words.keyword("told", "waited", "deadline"):
                case "told":
                    detail["told"] = True
                case "waited" | "deadline" as name:
                    detail[name] = words.number("seconds")
                case _:
                    words.end("`told`, `waited S` or `deadline S`")
        return Remark(n, item.start, "stop-waited", detail)

    def _answered(self, n: int, item: Item, words: Words) -> Record:
        assert item.start is not None
        return Remark(n, item.start, "answered", {"tag": words.take("a tag").text})

    def _remark(self, n: int, item: Item, words: Words) -> Record:
        assert item.start is not None
        kind = words.take("a kind of remark").text
        word = words.next
        detail = words.take("JSON").value if word is not None else {}
        if not isinstance(detail, dict):
            raise item.bad('expected its detail as JSON: `remark burst {"calls": 2}`')
        return Remark(n, item.start, kind, detail)

    def _told(self, n: int, item: Item) -> Record:
        assert item.start is not None
        words = Words(item.head, item)
        tag = words.take("a tag").text
        if len(item.head) < 3 or not item.head[2].text.isdigit():
            verbs = ", ".join(sorted((*CALLS, "open", "settled", "unsettled", "stop-waited", "remark")))
            raise item.bad(f"expected `TAG enter|leave|raise|effect|cancelled|swallowed STEP`, or one of {verbs}")
        kind, step = words.take("a kind").text, words.whole("a superstep")
        script = self.scripts.get(tag, [])
        spec = script[step] if step < len(script) else {"op": "emit"}
        self.seq += 1
        value: dict[str, Any] = {
            "run": self.run_id(tag),
            "clock": str(self.document.headers.get("clock", "k")),
            "t": item.start,
            "seq": self.seq,
            "attempt": "1",
        }
        detail: dict[str, Any] = {}
        match kind:
            case "enter":
                detail = {"gate": spec.get("gate")}
            case "leave":
                detail = {"gate_opened": True if "gate" in spec else None}
            case "effect":
                detail = {"name": spec.get("name", "effect")}
        if kind == "enter":
            detail["found"] = self.what_it_found(tag, step, words if words.keyword("found") else None)
        while words:
            match words.keyword("last", "gate", "under", "clock", "t", "seq", "attempt", "expired", "name"):
                case "last":
                    detail["found"]["last_input"] = words.take("a tag").text
                case "gate":
                    detail["gate"] = None if words.keyword("none") else words.take("a gate").text
                case "under":
                    value["run"] = None if words.keyword("nobody") else self.id_of(words.take("a run's tag or id"))
                case "clock":
                    value["clock"] = words.take("a clock").text
                case "t":
                    word = words.take("milliseconds")
                    value["t"] = seconds_of(word.text)
                    if value["t"] is None:
                        raise word.bad("milliseconds on the probe's clock")
                case "seq":
                    value["seq"] = words.whole("a number")
                case "attempt":
                    value["attempt"] = None if words.keyword("none") else words.take("an attempt").text
                case "expired":
                    detail["gate_opened"] = False
                case "name":
                    detail["name"] = words.take("an effect's name").text
                case _:
                    words.end("`found`, `last`, `gate`, `under`, `clock`, `t`, `seq`, `attempt`, `expired` or `name`")
        if kind == "enter" and step == 0:
            self.found.setdefault(tag, detail["found"])
        return Told(n, item.start, kind, tag, step, str(spec["op"]), detail=detail, **value)

    # --- calls -------------------------------------------------------------------------------------

    def _call(self, n: int, item: Item, verb: str, phase: str | None, words: Words) -> Record:
        assert item.start is not None
        tag: str | None = None
        op, group = CALLS[verb], None
        request: dict[str, Any] = {}
        match verb:
            case "create" | "stray":
                tag = words.take("a tag").text
                strategy = words.take("a strategy, or `default`")
                if tag not in self.scripts and self.document.headers.get("transport") != WITHOUT_PROBE:
                    raise item.head[1].bad(f"a run with a script: write `{tag} = emit` above")
                given = None if strategy.bare and strategy.text == "default" else strategy.text
                request = {"strategy": given, "steps": copy.deepcopy(self.scripts.get(tag, []))}
            case "cancel":
                tag = words.take("a tag").text
                request = {"action": words.take("`interrupt` or `rollback`").text, "wait": False}
            case "cancel-many":
                request = {"action": words.take("`interrupt` or `rollback`").text, "tags": []}
                while (word := words.next) is not None and not is_keyword(word):
                    request["tags"].append(words.take("a tag").text)
            case "join" | "stream" | "get":
                tag = words.take("a tag").text
            case "history":
                request = {"limit": 200}
            case "call":
                op = words.take("an operation").text
        thread = self.thread_of(tag) if tag is not None else "t"
        while words:
            match words.keyword("on", "in", "wait", "of", "via", "if-missing", "form"):
                case "via":
                    request["endpoint"] = words.take("`wait` or `stream`").text
                case "if-missing":
                    request["if_not_exists"] = "create"
                case "form":
                    request["form"] = words.take("how `wait` was written").text
                case "on":
                    thread = words.take("a thread").text
                case "in":
                    group = words.take("a group").text
                case "of":
                    tag = words.take("a tag").text
                case "wait":
                    request["wait"] = True
                case _:
                    words.end("`on THREAD`, `in GROUP`, `via ENDPOINT`, `wait`, or ` ─` and the answer")
        if phase is None:
            phase = "final" if verb in READS and thread in self.ended else "body"
        if item.tail is None:
            raise item.bad("expected its answer: ` ─200`, ` ─lost` or ` ─never`")
        received, status, answer, error = self._answer(verb, tag, thread, Words(item.tail, item))
        return Call(
            n, item.client, op, thread, tag, item.start, item.end if received else None, request, status, answer, error,
            phase, group,
        )  # fmt: skip

    def _answer(
        self, verb: str, tag: str | None, thread: str, words: Words
    ) -> tuple[bool, int | None, Any, str | None]:
        if words.keyword("never"):
            words.end("nothing behind `never`")
            return False, None, None, None
        if words.keyword("lost"):
            error = words.take("what happened").text if words else "connection lost"
            words.end("nothing more")
            return True, None, None, error
        first = words.next
        if first is not None and first.bare and first.text.isdigit() and len(first.text) == 3:
            status = words.whole("a status")
            answer = self._plain(verb, tag, thread, status)
            if words:
                answer = words.take("JSON").value
            words.end("nothing more")
            return True, status, answer, None
        answer = self._nice(verb, tag, thread, words)
        words.end("nothing more")
        return True, 200, answer, None

    def _plain(self, verb: str, tag: str | None, thread: str, status: int) -> Any:
        if verb in ("create", "stray"):
            return self._row(tag, "pending") if 200 <= status < 300 else {"detail": "busy"}
        if verb == "new" and 200 <= status < 300:
            return self._thread(thread, "idle", None)
        return None

    def _nice(self, verb: str, tag: str | None, thread: str, words: Words) -> Any:
        match verb:
            case "get":
                return self._row(tag, _status(words))
            case "list":
                rows = []
                while words and not words.keyword("nothing"):
                    row = None if words.keyword("nobody") else words.take("a tag").text
                    rows.append(self._row(row, _status(words)))
                return rows
            case "thread":
                status = _status(words)
                keys = ("tag", "log", "counter", "note", "messages")
                values = None
                if words.keyword("values"):
                    all_of_it = self.state_like(words)
                    values = {k: all_of_it[k] for k in keys}
                return self._thread(thread, status, values)
            case "state":
                value = self.state_like(words)
                return {**value, **self._entries(value)}
            case "history":
                chain = []
                while words and not words.keyword("nothing"):
                    word = words.take("a checkpoint")
                    if word.text not in self.checkpoints:
                        raise word.bad("a checkpoint that is defined: write `c1 < c0 A0` above")
                    chain.append(copy.deepcopy(self.checkpoints[word.text]))
                return chain
        expected = "a status of three digits, `lost` or `never` behind the dash"
        raise words.next.bad(expected) if words.next is not None else words.item.bad(f"expected {expected}")

    def _row(self, tag: str | None, status: str | None) -> dict[str, Any]:
        return {
            "run_id": self.run_id(tag) if tag is not None else "run",
            "status": status,
            "tag": tag,
            "created_at": self.document.ids.get(("created run", tag or "")),
            "strategy": self.strategy_of(tag) if tag is not None else None,
        }

    def _thread(self, name: str, status: str | None, values: Any) -> dict[str, Any]:
        return {
            "thread_id": self.document.ids.get(("thread", name), f"thread-{name}"),
            "status": status,
            "metadata": copy.deepcopy(self.document.headers.get("metadata", {"doubletext": True})),
            "values": values,
        }

    def _entries(self, value: dict[str, Any]) -> dict[str, Any]:
        """What only a read of the head has: who wrote each entry, and the tool calls."""
        entries: list[dict[str, Any]] = []
        calls: set[str] = set()
        results: set[str] = set()
        for tag, _, at in (e.rpartition(":") for e in value["log"]):
            step = int(at) if at.isdecimal() else -1
            entry: dict[str, Any] = {"tag": tag, "step": step, "run": self.run_id(tag)}
            if step == 0 and tag in self.found:
                entry["found"] = copy.deepcopy(self.found[tag])
            entries.append(entry)
            script = self.scripts.get(tag, [])
            match script[step] if 0 <= step < len(script) else {}:
                case {"op": "call", "id": str(id)}:
                    calls.add(id)
                case {"op": "result", "id": str(id)}:
                    results.add(id)
        return {"entries": entries, "tool_calls": sorted(calls), "tool_results": sorted(results)}


CALLS = {"create": "create", "cancel": "cancel", "join": "join", "stream": "stream", "new": "create_thread", "call": ""}
CALLS |= {"stray": "stray", "cancel-many": "cancel_many", **READS}


def _status(words: Words) -> str | None:
    return None if words.keyword("none") else words.take("a status").text


def _numbered(items: list[Item]) -> list[Item]:
    """The items in the order of their records: by number where numbers are written, else by completion."""
    for item in items:
        if not item.head:
            raise item.bad("expected what happened before the dash")
    with_number = [i for i in items if i.number is not None]
    if not with_number:
        return sorted(items, key=lambda i: (i.start if _never(i) else i.end, i.line, i.column))
    for item in items:
        if item.number is None:
            raise item.bad("expected its number (`#3`): all items have one, or none has")
    ordered = sorted(items, key=lambda i: i.number or 0)
    for n, item in enumerate(ordered):
        if item.number != n:
            raise item.bad(f"expected the numbers of all records without gap; #{n} is missing or stands twice")
    return ordered


def _never(item: Item) -> bool:
    return bool(item.tail) and item.tail is not None and item.tail[0].bare and item.tail[0].text == "never"


def build(document: Document) -> History:
    """The history of a document; raises BadNotation."""
    builder = Builder(document)
    records = [builder.record(n, item) for n, item in enumerate(builder.items)]
    by_number: dict[int, list[Note]] = {}
    for note in document.notes:
        if note.number >= len(records):
            raise BadNotation(note.line, note.column + 1, f"expected the number of a record below #{len(records)}")
        by_number.setdefault(note.number, []).append(note)
    for n, notes in by_number.items():
        records[n] = _noted(records[n], notes)
    headers = document.headers
    program = headers.get("program", "made")
    if isinstance(program, str):
        name, _, family = program.partition(" of ")
        program = {"name": name, "family": family or name, "moves": []}
    dialect, target = headers.get("dialect", DEFAULT_DIALECT), headers.get("target", {})
    if isinstance(dialect, str):
        dialect = {**DEFAULT_DIALECT, "name": dialect}
    return History(
        program, tuple(records), str(headers.get("transport", "callback")), dialect, builder.instance, target
    )


def _noted(record: Record, notes: list[Note]) -> Record:
    values: dict[str, Any] = {f.name: copy.deepcopy(getattr(record, f.name)) for f in fields(record)}
    for note in notes:
        if note.path[0] not in values or note.path[0] == "n":
            raise BadNotation(note.line, note.column + 1, f"expected a field of a {record.record}: {', '.join(values)}")
        at: Any = values
        for key in note.path[:-1]:
            if isinstance(at, list):
                at = at[int(key)] if key.isdigit() and int(key) < len(at) else None
            else:
                at = at.get(key) if isinstance(at, dict) else None
        key = note.path[-1]
        if isinstance(at, list) and key.isdigit() and int(key) < len(at) and note.value is not ABSENT:
            at[int(key)] = note.value
        elif isinstance(at, dict) and note.value is ABSENT:
            at.pop(key, None)
        elif isinstance(at, dict):
            at[key] = note.value
        else:
            raise BadNotation(
                note.line, note.column + 1, f"expected a path that is there; {'.'.join(note.path)} is not"
            )
    if isinstance(record, Epilogue):
        values["unsettled"] = tuple(values["unsettled"])
    noted = replace(record, **values)
    if (problem := well_formed(noted)) is not None:
        raise BadNotation(notes[0].line, notes[0].column + 1, problem)
    return noted
