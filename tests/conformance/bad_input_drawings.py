"""Histories of malformed requests, drawn by hand: legal ones, and such that violate bad-input."""

from __future__ import annotations

import json
from typing import Any

ACCEPTED = '200 {"run_id": "made"}'
WRONG = ("strategy", "json", "types", "unknown-assistant", "negative-delay", "oversize")
OWE_REFUSAL = ("strategy", "json", "unknown-assistant", "negative-delay")


def said(wrong: str, what: str = "it is wrong", **more: Any) -> str:
    """What a record says of a request."""
    owed = "refusal" if wrong in OWE_REFUSAL else "no-crash"
    value = {"wrong": wrong, "what": what, "owed": owed, "operation": "create-run", "curl": "curl", **more}
    return f"request={json.dumps(value)}"


def request(
    wrong: str,
    answer: str,
    after: str = "",
    control: str = ACCEPTED,
    prepared: bool = True,
    existed: str | None = None,
    **more: Any,
) -> str:
    """Request A on thread a, which is its own, then the control C on thread c; ``after`` is what is read at the end."""
    made = (
        "new on a ─200 #0  "
        if prepared
        else "body:thread on a ─404 #0  "
        if existed is None
        else f"body:thread on a ─{existed} #0  "
    )
    return f"""
    client  |{made}call request of A on a ─{answer} #1  new on c ─200 #2  call request of C on c ─{control} #3
    harness |{after} #4 @900..901

    #1 {said(wrong, **more)}
    #3 {said("", "which is right")}
    """.replace("\n    ", "\n").replace("harness | #4 @900..901\n", "")


def delaying(answer: str, honoured: bool, after: str = "list on a ─nothing") -> str:
    """A has a negative delay; D, which is to wait, is read as pending when C has long ended, if delays are honoured."""
    status = "pending" if honoured else "success"
    rows = {"C": "made", "D": "late"}
    return f"""
    client  |new on a ─200 #0  call request of A on a ─{answer} #1
    other   |new on d ─200 #2 @400..401
    other   |call request of D on d ─200 {{"run_id": "late"}} #3 @410..411
    other   |new on c ─200 #4 @420..421
    other   |call request of C on c ─{ACCEPTED} #5 @430..431
    harness |list on c ─nobody success #6 @440..441
    harness |list on d ─nobody {status} #7 @1500..1501
    harness |{after} #8 @1600..1601

    #1 {said("negative-delay", operation="wait-run" if answer == "200" else "create-run")}
    #3 {said("", "which is to wait")}
    #5 {said("", "which is right")}
    #6 answer.0.run_id="{rows["C"]}"
    #7 answer.0.run_id="{rows["D"]}"
    """.replace("\n    ", "\n")


REFUSED_RUN = "list on a ─nobody pending"
NOTHING = "list on a ─nothing"

LEGAL: list[tuple[str, str, int]] = [
    *((f"bad-input.{wrong}", request(wrong, "422", NOTHING), 1) for wrong in WRONG),
    *((f"bad-input.{wrong}", request(wrong, status), 0) for wrong in WRONG for status in ("503", "429", "502", "501")),
    *((f"bad-input.{wrong}", request(wrong, "never"), 0) for wrong in WRONG),
    # Without a control a refusal says nothing: everything may be refused.
    ("bad-input.strategy", request("strategy", "404", control="404"), 0),
    # Of types and sizes the sources do not say that they must be refused.
    ("bad-input.types", request("types", ACCEPTED, REFUSED_RUN), 1),
    ("bad-input.oversize", request("oversize", ACCEPTED, REFUSED_RUN), 1),
    # A stream may say in its events that it was refused: no run is there.
    ("bad-input.strategy", request("strategy", "200", NOTHING, operation="stream-run"), 0),
    # The thread that was made for the request is there afterwards, and idle.
    ("bad-input.json", request("json", "400", "thread on a ─idle"), 1),
    # It does not exist, and still does not.
    ("bad-input.unknown-assistant", request("unknown-assistant", "404", "thread on a ─404", prepared=False), 1),
    # There are servers where every thread exists.
    (
        "bad-input.unknown-assistant",
        request("unknown-assistant", "404", "thread on a ─idle", prepared=False, existed="idle"),
        1,
    ),
    # A server that knows no delays ignores the field.
    ("bad-input.negative-delay", delaying(ACCEPTED, honoured=False), 0),
    ("bad-input.negative-delay", request("negative-delay", ACCEPTED), 0),
    ("bad-input.negative-delay", delaying("422", honoured=True), 1),
]

SEARCHED = 'call search_threads of A on a ─200 [{"thread_id": "x", "status": "idle", "tag": "A"}]'
LEFT = "and yet something was made"

ILLEGAL: list[tuple[str, str, str]] = [
    *((f"bad-input.{wrong}", request(wrong, "500", NOTHING), "it is wrong: answered 500") for wrong in WRONG),
    *((f"bad-input.{wrong}", request(wrong, "422", REFUSED_RUN), LEFT) for wrong in WRONG),
    *(
        (f"bad-input.{wrong}", request(wrong, ACCEPTED, NOTHING), "accepted with 200")
        for wrong in ("strategy", "json", "unknown-assistant")
    ),
    *(
        (f"bad-input.{wrong}", request(wrong, "200", REFUSED_RUN, operation="wait-run"), "accepted with 200")
        for wrong in ("strategy", "json", "unknown-assistant")
    ),
    ("bad-input.negative-delay", delaying(ACCEPTED, honoured=True), "accepted with 200"),
    ("bad-input.negative-delay", delaying("200", honoured=True, after=REFUSED_RUN), "accepted with 200"),
    ("bad-input.strategy", request("strategy", "422", "thread on a ─busy"), LEFT),
    ("bad-input.unknown-assistant", request("unknown-assistant", "404", "thread on a ─idle", prepared=False), LEFT),
    ("bad-input.types", request("types", "422", SEARCHED, prepared=False, operation="create-thread"), LEFT),
    (
        "bad-input.json",
        request("json", '200 {"thread_id": "x"}', prepared=False, operation="create-thread"),
        "accepted with 200",
    ),
]
