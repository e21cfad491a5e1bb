"""Histories that Hypothesis makes: every kind of record, with usual and with unusual values."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from conformance.history import Call, Epilogue, GateOpened, History, Record, Remark, Told

usual_tags = st.sampled_from(["A", "B", "A1", "B0", "P"])
odd_texts = st.one_of(
    st.sampled_from(
        ["create", "enter", "a b", "x  y", "200", "-", "#1", "nothing", "é·─|", "", "A=B", "ms", "t", "\u2028"]
    ),
    st.text(max_size=6),
)
tags = st.one_of(usual_tags, usual_tags, usual_tags, odd_texts)
names = st.one_of(st.sampled_from(["g", "b", "t", "u"]), odd_texts)
instants = st.integers(0, 5_000_000).map(lambda us: us / 1_000_000)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | odd_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_texts, inner, max_size=3),
    max_leaves=6,
)
steps = st.lists(
    st.one_of(
        st.sampled_from([{"op": "emit"}, {"op": "add"}, {"op": "note", "value": "A"}, {"op": "call", "id": "c"}]),
        st.sampled_from([{"op": "emit", "gate": "g", "swallow": "z"}, {"op": "effect", "name": "pay"}, {"op": "fail"}]),
        st.fixed_dictionaries({"op": odd_texts}, optional={"gate": names, "by": st.integers(0, 3), "block": values}),
    ),
    max_size=4,
)
statuses = st.one_of(st.sampled_from(["pending", "running", "success", "interrupted"]), odd_texts, st.none())


def rows() -> st.SearchStrategy[dict[str, Any]]:
    """Runs as an answer shows them."""
    return st.builds(
        lambda tag, id, status, more: {"run_id": id or f"run-{tag}", "status": status, "tag": tag, **more},
        st.none() | tags,
        st.none() | odd_texts,
        statuses,
        st.fixed_dictionaries({}, optional={"created_at": odd_texts, "strategy": st.none() | odd_texts}),
    )


logs = st.lists(st.tuples(tags, st.integers(0, 12)), max_size=5).map(lambda log: [f"{t}:{s}" for t, s in log])
messages = st.lists(
    tags.map(lambda t: ["human", f"in-{t}", t]) | st.tuples(odd_texts, odd_texts, odd_texts).map(list), max_size=3
)


def checkpoints() -> st.SearchStrategy[dict[str, Any]]:
    """Checkpoints as the client keeps them."""
    return st.fixed_dictionaries(
        {
            "id": st.sampled_from(["head", "c0", "c1", "x", "1f1e8280-46fd-6f35-800d"]) | odd_texts,
            "parent": st.none() | st.sampled_from(["c0", "c1", "x"]) | odd_texts,
            "run": st.none() | tags.map(lambda t: f"run-{t}") | odd_texts,
            "source": st.sampled_from(["loop", "input", "update"]),
            "tag": st.none() | tags,
            "log": logs,
            "counter": st.integers(0, 3),
            "note": st.sampled_from(["", "A", "a b"]),
            "messages": messages,
        }
    )


found = st.builds(
    lambda log, counter, last: {
        "log": log,
        "log_hash": "e3b0c44298fc1c14",
        "counter": counter,
        "note": "",
        "messages": 0,
        "messages_hash": "e3b0c44298fc1c14",
        "last_input": last,
    },
    st.integers(0, 3),
    st.integers(0, 3),
    tags,
)


def answers(op: str) -> st.SearchStrategy[Any]:
    """What a successful answer of this call holds."""
    match op:
        case "create" | "get_run":
            return rows()
        case "list_runs":
            return st.lists(rows(), max_size=4)
        case "get_thread" | "create_thread":
            return st.fixed_dictionaries(
                {
                    "thread_id": odd_texts,
                    "status": statuses,
                    "metadata": st.just({"doubletext": True}) | values,
                    "values": st.none() | checkpoints(),
                }
            )
        case "get_state":
            more = {"entries": st.just([]), "tool_calls": st.just([]), "tool_results": st.lists(odd_texts, max_size=1)}
            return st.builds(lambda c, m: {**c, **m}, checkpoints(), st.fixed_dictionaries(more))
        case "get_history":
            return st.lists(checkpoints(), max_size=4)
    return values


@st.composite
def calls(draw: st.DrawFn, n: int) -> Call:
    """Any call, answered in any way."""
    ops = ["create", "create", "stray", "cancel", "cancel_many", "join", "get_run", "list_runs", "get_thread"]
    ops += ["get_state", "get_history"]
    op = draw(st.sampled_from([*ops, "create_thread", "dance"]))
    sent = draw(instants)
    lasted = draw(st.sampled_from([0.0, 0.001, 0.25]))
    status = draw(st.sampled_from([200, 200, 200, 204, 404, 409, 503, None]))
    error = draw(st.none() | odd_texts.filter(bool)) if status is None or draw(st.booleans()) else None
    request: dict[str, Any] = {}
    if op in ("create", "stray"):
        strategy = draw(st.sampled_from(["reject", "enqueue", "interrupt", "rollback", None]))
        request = {"strategy": strategy, "steps": draw(steps)}
    elif op == "cancel":
        request = {"action": draw(st.sampled_from(["interrupt", "rollback"])), "wait": draw(st.booleans())}
    elif op == "cancel_many":
        request = {
            "action": draw(st.sampled_from(["interrupt", "rollback"])),
            "tags": draw(st.lists(names, max_size=3)),
        }
    elif draw(st.booleans()):
        request = draw(st.dictionaries(odd_texts, values, max_size=2))
    if op in ("create", "stray"):
        request |= draw(
            st.sampled_from([{}, {}, {"endpoint": "wait"}, {"if_not_exists": "create"}, {"endpoint": "x y"}])
        )
    elif op == "cancel":
        request |= draw(st.sampled_from([{}, {}, {"form": "true"}, {"form": ""}]))
    good = status in (200, 204) and not error
    return Call(
        n=n,
        client=draw(st.sampled_from(["harness", "create A", "client 1"]) | odd_texts),
        op=op,
        thread=draw(st.sampled_from(["t", "t", "u"]) | odd_texts),
        tag=draw(tags) if op in ("create", "stray", "cancel", "join", "get_run") else draw(st.none() | tags),
        sent=sent,
        received=None if status is None and draw(st.booleans()) else round(sent + lasted, 6),
        request=request,
        status=status,
        answer=draw(answers(op)) if good else draw(values),
        error=error,
        phase=draw(st.sampled_from(["body", "settle", "settled", "final"])),
        group=draw(st.none() | names),
    )


@st.composite
def others(draw: st.DrawFn, n: int) -> Record:
    """Any record that is no call."""
    at = draw(instants)
    match draw(st.sampled_from(["told", "told", "told", "gate", "remark", "epilogue"])):
        case "gate":
            return GateOpened(n, draw(names), at, round(at + draw(st.sampled_from([0, 0.001])), 6))
        case "remark":
            tag = draw(tags)
            detail = {"tag": tag, "waited": draw(instants), "deadline": 2.0, "told": draw(st.booleans())}
            kind = draw(st.sampled_from(["stop-waited", "answered", "burst", "other"]))
            spread = {"spread_ms": 1.5, "group": draw(names)}
            more = {"stop-waited": detail, "answered": {"tag": tag}, "burst": spread}
            return Remark(n, at, kind, more.get(kind, draw(st.dictionaries(odd_texts, values, max_size=2))))
        case "epilogue":
            unsettled = tuple(draw(st.lists(tags, max_size=2)))
            thread, status = draw(st.sampled_from(["t", "u"])), draw(statuses)
            return Epilogue(n, at, thread, draw(st.booleans()), draw(instants), 20.0, unsettled, status)
    kind = draw(st.sampled_from(["enter", "leave", "raise", "effect", "cancelled", "swallowed"]) | odd_texts)
    detail = {"found": draw(found), "gate": draw(st.none() | names)} if kind == "enter" else {}
    if kind == "leave":
        detail = {"gate_opened": draw(st.none() | st.booleans())}
    elif kind != "enter":
        detail = draw(st.dictionaries(odd_texts, values, max_size=2))
    tag = draw(tags)
    return Told(
        n=n,
        at=at,
        kind=kind,
        tag=tag,
        step=draw(st.integers(0, 12)),
        op=draw(st.sampled_from(["emit", "add"]) | odd_texts),
        run=draw(st.none() | st.just(f"run-{tag}") | odd_texts),
        clock=draw(st.sampled_from(["k", "k2"]) | odd_texts),
        t=draw(st.floats(0, 1e6)),
        seq=draw(st.integers(0, 99)),
        attempt=draw(st.none() | st.just("1") | odd_texts),
        detail=detail,
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Whole histories: nothing of them need make sense, all of it can be recorded."""
    size = draw(st.integers(0, 12))
    records = tuple(draw(calls(n) if draw(st.booleans()) else others(n)) for n in range(size))
    program = {"name": draw(odd_texts), "family": draw(odd_texts), "moves": draw(st.lists(values, max_size=1))}
    return History(
        draw(st.just({"name": "made", "family": "made", "moves": []}) | st.just(program)),
        records,
        draw(st.sampled_from(["callback", "store", "stream"])),
        draw(st.sampled_from([{"name": "agent-server", "refusal_code": 409}, {"name": "x y", "refusal_code": 422}])),
        draw(st.sampled_from(["", "~ab1~"])),
        draw(st.dictionaries(odd_texts, values, max_size=2)),
    )
