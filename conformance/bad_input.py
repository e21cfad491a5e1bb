"""Malformed requests, written by hand: what clients get wrong, and what parsers, validators and stores stumble over.

Each request has a thread of its own (or names one that does not exist), so that whatever is found there afterwards is
of this request. What a server owes differs: an unknown strategy, an unknown assistant, a negative delay and a body
that is no JSON must be refused; of wrong types, sizes and content types the sources only say how they are meant, and
servers that take them are shown, not failed. Nothing of it may end in a 5xx.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from conformance.facts import DELAYED
from conformance.programs import Program, Send

WRONG = ("strategy", "json", "types", "unknown-assistant", "negative-delay", "oversize")
GENERATED = "bad-input-generated"  # the family of what schemathesis makes of the target's own description
STUFFING = "@STUFFING@"
NEVER_S = 600  # a delay that no check waits for

Owed = Literal["refusal", "no-crash"]
RUNS = "/threads/THREAD_ID/runs"
ENDPOINTS = {"create-run": RUNS, "wait-run": f"{RUNS}/wait", "stream-run": f"{RUNS}/stream"}
CREATES = (*ENDPOINTS, "create-thread")
INPUT: Mapping[str, Any] = {"program": {"tag": "TAG", "steps": [{"op": "emit"}], "via": {}}, "pc": 0}
RIGHT: Mapping[str, Any] = {
    "assistant_id": "ASSISTANT_ID",
    "input": INPUT,
    "metadata": {"doubletext_tag": "TAG"},
    "on_disconnect": "cancel",
}


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _Requests:
    """Collects the requests of one program; each gets a name of its own."""

    def __init__(self, wrong: str, prefix: str) -> None:
        self.wrong, self.prefix = wrong, prefix
        self.sends: list[Send] = []

    def add(self, operation: str, method: str, path: str, what: str, **more: Any) -> None:
        tag = f"{self.prefix}{len(self.sends)}"
        thread = tag if "THREAD_ID" in path else ""
        self.sends.append(Send(tag, operation, method, path, wrong=self.wrong, what=what, thread=thread, **more))

    def create(self, what: str, owed: Owed, operation: str = "create-run", **changes: Any) -> None:
        """A create that is right but for these fields (``...``: left out)."""
        body = {k: v for k, v in {**RIGHT, **changes}.items() if v is not ...}
        self.add(operation, "POST", ENDPOINTS[operation], what, body=json.dumps(body), owed=owed)

    def create_thread_too(self, what: str, owed: Owed, **changes: Any) -> None:
        """The same on a thread that does not exist, and is to be made if the create is accepted."""
        body = {**RIGHT, "if_not_exists": "create", **changes}
        path = RUNS.replace("THREAD_ID", "FRESH_ID")
        self.add("create-run", "POST", path, f"{what}, on an unknown thread", body=json.dumps(body), owed=owed)

    def program(self, name: str = "") -> Program:
        family = f"bad-input-{self.wrong}"
        return Program(f"{family}/{name}" if name else family, family, (*self.sends, control(f"{self.prefix}right")))


def control(tag: str, what: str = "which is right", **changes: Any) -> Send:
    """A control: nothing is wrong with it."""
    return Send(tag, "create-run", "POST", RUNS, json.dumps({**RIGHT, **changes}), what=what, thread=tag)


def _strategy() -> Program:
    requests = _Requests("strategy", "s")
    for operation in ENDPOINTS:
        for value in ("merge", "queue_behind"):
            requests.create(f"multitask_strategy is {_shown(value)}", "refusal", operation, multitask_strategy=value)
    requests.create_thread_too('multitask_strategy is "merge"', "refusal", multitask_strategy="merge")
    return requests.program()


NO_JSON = {
    "the body is cut off": '{"assistant_id": "ASSISTANT_ID", "input": {"pc"',
    "the body is no JSON": "pay order-17, please",
    "the body is empty": "",
    "the body is a form": "assistant_id=ASSISTANT_ID&input=1",
    "the body is written with single quotes": "{'assistant_id': 'ASSISTANT_ID', 'input': {}}",
}


def _json() -> Program:
    requests = _Requests("json", "j")
    for what, body in NO_JSON.items():
        requests.add("create-run", "POST", RUNS, what, body=body, owed="refusal")
    cut, body = next(iter(NO_JSON.items()))
    for operation in ("wait-run", "stream-run"):
        requests.add(operation, "POST", ENDPOINTS[operation], cut, body=body, owed="refusal")
    unknown = RUNS.replace("THREAD_ID", "FRESH_ID")
    requests.add("create-run", "POST", unknown, f"{cut}, on an unknown thread", body=body, owed="refusal")
    thread = '{"metadata": {"doubletext_tag": "TAG"'
    requests.add("create-thread", "POST", "/threads", cut, body=thread, owed="refusal")
    right = json.dumps(RIGHT)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml", None):
        said = "the content type is left out" if kind is None else f"the content type is {kind}"
        requests.add("create-run", "POST", RUNS, said, body=right, content_type=kind)
    for what, text in (("a lone surrogate", "\ud800"), ("a NUL", "\0")):
        requests.create(f"a text holds {what}", "no-crash", metadata={"doubletext_tag": "TAG", "x": text})
    return requests.program()


CREATE_TYPES: Mapping[str, tuple[Any, ...]] = {
    "assistant_id": (..., None, 7, {}, ""),
    "input": ("text", 7),
    "metadata": ("text", [1]),
    "config": ([], {"configurable": "x"}, {"recursion_limit": "many"}, {"recursion_limit": -1}),
    "stream_mode": (7, "sometimes"),
    "multitask_strategy": (7, ["reject"]),
    "checkpoint": ("x", {"checkpoint_id": 7}),
    "checkpoint_id": ("no-such-checkpoint",),
    "interrupt_before": (7,),
    "after_seconds": ("soon", {}),
    "if_not_exists": ("perhaps",),
    "on_disconnect": (7,),
    "command": (7, {"goto": 7}, {"update": 7}),
}


def _types() -> Iterator[Program]:
    requests = _Requests("types", "c")
    for name, value in ((name, value) for name, values in CREATE_TYPES.items() for value in values):
        what = f"{name} is left out" if value is ... else f"{name} is {_shown(value)}"
        requests.create(what, "no-crash", **{name: value})
    for value in ([], 7, None, "text"):
        requests.add("create-run", "POST", RUNS, f"the body is {_shown(value)}", body=json.dumps(value))
    requests.create_thread_too('metadata is "text"', "no-crash", metadata="text")
    yield requests.program("creates")

    requests = _Requests("types", "o")
    tagged = {"doubletext_tag": "TAG"}
    for name, value in (("thread_id", 7), ("thread_id", "no uuid TAG"), ("if_exists", "perhaps"), ("metadata", "text")):
        body = json.dumps({"thread_id": "FRESH_ID", "metadata": tagged, name: value})
        requests.add("create-thread", "POST", "/threads", f"{name} is {_shown(value)}", body=body)
    for at, method, operation in (
        ("", "GET", "read"),
        ("/state", "GET", "read"),
        ("/runs", "GET", "read"),
        ("/runs", "POST", "create-run"),
    ):
        right = json.dumps(RIGHT) if method == "POST" else None
        requests.add(operation, method, f"/threads/no-uuid{at}", "the thread's id is no UUID", body=right)
    for at, method in (("", "GET"), ("/join", "GET"), ("/cancel", "POST")):
        requests.add("read", method, f"{RUNS}/no-uuid{at}", "the run's id is no UUID")
    for query in ("limit=many", "limit=-1", "offset=-1", "status=asleep"):
        requests.add("read", "GET", f"{RUNS}?{query}", f"the query is {query}")
    for path, bodies in (
        ("/state", ({"values": 7}, {"values": {}, "as_node": 7}, {"values": {}, "as_node": "nowhere"}, [])),
        ("/history", ({"limit": "many"}, {"limit": -1}, {"before": 7}, {"checkpoint": "x"})),
    ):
        for value in bodies:
            what = f"the body is {_shown(value)}"
            requests.add("update-state", "POST", f"/threads/THREAD_ID{path}", what, body=json.dumps(value))
    requests.add("update-thread", "PATCH", "/threads/THREAD_ID", "metadata is 7", body='{"metadata": 7}')
    yield requests.program("others")


def _unknown_assistant() -> Program:
    requests = _Requests("unknown-assistant", "a")
    for operation in ENDPOINTS:
        requests.create("no assistant has this id", "refusal", operation, assistant_id="FRESH_ID")
        requests.create("no graph has this name", "refusal", operation, assistant_id="no-such-graph-TAG")
    requests.create_thread_too("no graph has this name", "refusal", assistant_id="no-such-graph-TAG")
    return requests.program()


def _negative_delay() -> Program:
    requests = _Requests("negative-delay", "d")
    for value in (-1, -0.25, -1e12):
        requests.create(f"after_seconds is {value:g}", "refusal", after_seconds=value)
    requests.create("after_seconds is -1", "refusal", "stream-run", after_seconds=-1)
    requests.create_thread_too("after_seconds is -1", "refusal", after_seconds=-1)
    # That delays mean something here: this one is still pending when the control, sent after it, has long ended.
    requests.sends.append(control("delayed", DELAYED, after_seconds=NEVER_S))
    return requests.program()


MIB = 1 << 20


def _oversize() -> Program:
    requests = _Requests("oversize", "z")
    text = json.dumps({**RIGHT, "input": {**INPUT, "x": STUFFING}})
    value = text.replace(f'"{STUFFING}"', STUFFING)
    deep = json.dumps({**RIGHT, "metadata": {"x": STUFFING}}).replace(f'"{STUFFING}"', STUFFING)
    long = json.dumps({**RIGHT, "assistant_id": STUFFING})
    for what, body, stuffing in (
        ("the input is nested 500 arrays deep", value, ("[", "]", 500)),
        ("the input is nested 100,000 arrays deep", value, ("[", "]", 100_000)),
        ("the metadata is nested 100,000 arrays deep", deep, ("[", "]", 100_000)),
        ("a number in the input has 5,000 digits", value, ("7", "", 5_000)),
        ("assistant_id has 200,000 characters", long, ("x", "", 200_000)),
        ("the input has 2 MiB", text, ("x", "", 2 * MIB)),
    ):
        requests.add("create-run", "POST", RUNS, what, body=body, stuffing=stuffing)
    requests.create("after_seconds is 1e+300", "no-crash", after_seconds=1e300)
    requests.create("recursion_limit is 10 to the 30th", "no-crash", config={"recursion_limit": 10**30})
    requests.add("read", "GET", f"{RUNS}?status={'x' * 20_000}", "the URL has 20,000 characters")
    return requests.program()


def bad_input_programs() -> list[Program]:
    """All of them."""
    return [_strategy(), _json(), *_types(), _unknown_assistant(), _negative_delay(), _oversize()]
