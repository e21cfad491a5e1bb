"""``reproduce.py`` of a finding: stand-alone, for whoever mends the server and has never heard of this suite.

The scene comes first, one line a call, as the program has it; then what is wrong with its end; then ``stage.py``, which
plays it with ``langgraph_sdk`` and the standard library.
"""

from __future__ import annotations

import json
import pprint
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from conformance.facts import Claim
from conformance.fuzz.findings import Finding
from conformance.history import Call, Told
from conformance.programs import (
    Cancel,
    CancelMany,
    Crack,
    Create,
    Delete,
    Join,
    Move,
    Open,
    Read,
    Renew,
    Stateless,
    Together,
    Until,
    Update,
)


def script(finding: Finding) -> str:
    """The text of ``reproduce.py``."""
    scripts = {tag: [dict(s) for s in steps] for tag, steps in finding.program.scripts().items()}
    unmade = [f"s.unmade({thread!r})" for thread in finding.program.missing()]
    scene = [f"    {line}" for line in (*unmade, *(line for move in finding.program.moves for line in _lines(move)))]
    scene = scene or ["    pass"]
    checks = list(dict.fromkeys(_checks(finding)))
    seen = [f"        {'and ' if i else ''}{check}" for i, check in enumerate(checks)]
    assistant = str(finding.history.target.get("assistant") or "doubletext")
    return "\n".join(
        [
            "#!/usr/bin/env python3",
            _docstring(finding, bool(checks)),
            "",
            "# What each run does: one instruction of the probe graph is one superstep.",
            f"SCRIPTS = {pprint.pformat(scripts, width=110, sort_dicts=False)}",
            "",
            "",
            'def scene(s: "Stage") -> None:',
            '    """What is done, in this order."""',
            *scene,
            "",
            "",
            'def seen(s: "Stage") -> bool:',
            '    """Whether it ended as it did when it was found, which is wrong."""',
            *(["    return (", *seen, "    )"] if checks else ["    return False"]),
            "",
            "",
            files("conformance.fuzz").joinpath("stage.py").read_text().rstrip(),
            "",
            "",
            'if __name__ == "__main__":',
            f"    sys.exit(main(scene, {'seen' if checks else 'None'}, {assistant!r}, SCRIPTS, "
            f"{finding.history.transport!r}))",
            "",
        ]
    )


def _docstring(finding: Finding, sure: bool) -> str:
    ends = (
        "Exit code 1: seen again; 0: not seen; 2: it could not be played."
        if sure
        else "It cannot tell by itself whether the bug was seen: compare the end with what is expected."
    )
    about = f"""{finding.text()}

The server needs the probe graph (`doubletext probe PROJECT` writes it) and this script `pip install langgraph-sdk`.

    python reproduce.py http://127.0.0.1:2024 [TIMES]     # DOUBLETEXT_API_KEY=... where it wants one

{ends}"""
    return '"""' + about.replace("\\", "\\\\").replace('"""', "'''") + '\n"""'


def _lines(move: Move) -> Iterator[str]:
    match move:
        case Create():
            yield f"s.create({_create(move)}{'' if move.waits else ', wait=False'})"
        case Stateless(tag=tag, strategy=strategy, endpoint=endpoint):
            yield f"s.stateless({tag!r}, {strategy!r}{_said(by=None if endpoint == 'runs' else endpoint)})"
        case Together(creates, cancels):
            rows = [f"({c.tag!r}, {c.strategy!r}, {c.thread!r})" for c in creates]
            rows += [f"cancels={[(c.tag, c.action) for c in cancels]!r}"] if cancels else []
            rows += ["if_not_exists='create'"] if any(c.missing for c in creates) else []
            yield f"s.together({', '.join(rows)})"
        case Cancel():
            yield _cancel(move)
        case CancelMany(tags=tags, action=action):
            yield f"s.cancel_many({', '.join(map(repr, (action, *tags)))})"
        case Join(tag=tag, how=how):
            yield f"s.join({tag!r}, {how!r})"
        case Delete(tag=tag, fault=fault):
            yield f"s.delete({tag!r}{_said(fault=fault)})"
        case Renew(thread=thread, again=again):
            yield f"s.renew({thread!r}, again={again})"
        case Update(tag=tag, thread=thread, fault=fault):
            yield f"s.update({tag!r}, {thread!r}{_said(fault=fault)})"
        case Open(gate=key):
            yield f"s.open({key!r})"
        case Read(thread=thread):
            yield f"s.read({thread!r})"
        case Crack(call=call, offset_ms=offset, gate=key, of=of):
            made = f"s.create({_create(call)}, wait=False)" if isinstance(call, Create) else _cancel(call)
            yield f"s.crack(lambda: {made}, offset_ms={offset}, gate={key!r}, of={of!r})"
        case Until():
            yield from _wait(move)


def _wait(move: Until) -> Iterator[str]:
    match move.what:
        case "halted":
            yield f"s.halted({move.tag!r})"
        case "inside" | "entered" | "left" | "stopped" | "returned":
            yield f"s.{move.what}({move.tag!r}, {move.value!r})"
        case "answered" | "ended" | "listed":
            yield f"s.{move.what}({move.tag!r})"
        case "begun":
            yield f"s.entered({move.tag!r}, 0)"


def _create(create: Create) -> str:
    thread = "" if create.thread == "t" else f", {create.thread!r}"
    said = _said(
        by=None if create.endpoint == "runs" else create.endpoint,
        fault=create.fault,
        if_not_exists="create" if create.missing == "create" else None,
        after_seconds=create.after,
        command=None if create.answers is None else {"resume": create.answers},
    )
    return f"{create.tag!r}, {create.strategy!r}{thread}{said}"


def _cancel(cancel: Cancel) -> str:
    form = ("1" if cancel.wait else None) if cancel.form is None else cancel.form
    said = _said(wait=form, fault=cancel.fault, goes_on=None if cancel.waits else True)
    return f"s.cancel({cancel.tag!r}, {cancel.action!r}{said})"


def _said(**options: Any) -> str:
    return "".join(f", {name}={value!r}" for name, value in options.items() if value is not None)


# --- how it shows --------------------------------------------------------------------------------------------


def _checks(finding: Finding) -> Iterator[str]:
    """What of the proof the script can see for itself; where that is nothing decisive, what the proof cites, or the
    answers and the end as they were."""
    facts = [f.claim for f in finding.violation.proof if isinstance(f.claim, Claim)]
    checks = [check for claim in facts if (check := _check(claim.kind, dict(claim.args))) is not None]
    found = [str(dict(claim.args)["run"]) for claim in facts if claim.kind == "found"]
    if finding.key.requirement == "rollback.reverts" and len(found) == 2:
        checks.append(f"s.found({found[0]!r}) != s.found({found[1]!r})")
    if finding.key.requirement == "cancel.wait":
        held = [dict(claim.args) for claim in facts if claim.kind == "held"]
        checks = [f"s.answered_at_work({args['run']!r}, {args['step']!r})" for args in held] or checks
    if finding.key.requirement == "endpoint.stateless":
        checks += [check for claim in facts if (check := _among_stateless(claim.kind, dict(claim.args))) is not None]
    decisive = [check for check in checks if not check.startswith("s.codes[")]
    refused_or_not = finding.key.requirement.startswith(("reject.", "enqueue.accepted", "interrupt.accepted"))
    if decisive or (checks and refused_or_not) or finding.key.requirement == "rollback.accepted":
        yield from checks
        return
    yield from _as_cited(finding) or _as_it_ended(finding)


def _check(kind: str, args: dict[str, Any]) -> str | None:
    match kind:
        case "answered":
            answer = str(args["answer"])
            code = answer[:3]
            return _code(str(args["run"]), int(code)) if code.isdigit() else None
        case "final":
            return f"s.final.get({args['run']!r}) == {args['status']!r}"
        case "log":
            return f"s.state[{args['thread']!r}]['log'] == {list(args['log'])!r}"
        case "counter":
            return f"s.state[{args['thread']!r}]['counter'] == {args['value']!r}"
        case "holds" if "log" in args["where"]:
            return f"any(e.startswith({args['run'] + ':'!r}) for e in s.state[{args['thread']!r}]['log'])"
        case "unsettled":
            return f"not s.settled[{args['thread']!r}]"
        case "written":
            return f"s.wrote({args['run']!r}, {args['step']!r})"
        case "fork" | "hole":
            return f"s.broken({args['thread']!r})"
        case "carries":
            return f"any(s.carries(thread, {args['run']!r}) for thread in s.threads)"
        case "overlap":
            return f"s.concurrent({args['run']!r}, {args['other']!r})"
        case "told" if args["what"] in ("enter", "leave", "raise"):
            return f"s._said({args['run']!r}, {args['what']!r}, step={args['step']!r})"
    return None


def _among_stateless(kind: str, args: dict[str, Any]) -> str | None:
    """What the script can see of what runs without a thread did to one another."""
    if kind == "told" and args["what"] in ("cancelled", "swallowed"):
        return f"s._said({args['run']!r}, {args['what']!r})"
    refused = kind == "stateless" and str(args["answer"]).startswith("409")
    return f"s.codes.get({args['run']!r}) == 409" if refused else None


def _code(tag: str, code: int) -> str:
    return f"s.codes[{tag!r}] < 300" if code < 300 else f"s.codes[{tag!r}] == {code}"


def _as_cited(finding: Finding) -> list[str]:
    """What the records show that a contradiction cites; nothing where the script cannot see all of that."""
    records = {r.n: r for r in finding.history.records}
    checks: list[str] = []
    for n in (n for fact in finding.violation.proof for n in fact.cites):
        match records[n]:
            case Call() as call if shown := list(_shown(call)):
                checks += shown
            case Call(op="cancel", status=int(status)) if status < 300:
                pass  # the scene sends it
            case Told(kind="enter", step=0, tag=tag, detail=detail):
                found = detail.get("found") or {}
                checks += [f"s.found({tag!r})[{what!r}] == {found.get(what)!r}" for what in ("log", "counter")]
            case _:
                return []
    return checks if any(c.startswith(("s.state", "s.found")) for c in checks) else []


def _as_it_ended(finding: Finding) -> Iterator[str]:
    for call in finding.history.of(Call):
        yield from _shown(call)


def _shown(call: Call) -> Iterator[str]:
    """What the script can see of a call: a create's code, or how a run or a thread ended."""
    if call.op == "create" and call.status is not None:
        yield _code(str(call.tag), call.status)
    elif call.op == "get_run" and call.phase == "final" and (call.status == 404 or (call.ok and not call.error)):
        status = "gone" if call.status == 404 else call.answer["status"]
        yield f"s.final.get({call.tag!r}) == {status!r}"
    elif call.op == "get_state" and call.phase == "final" and call.ok and not call.error:
        yield f"s.state[{call.thread!r}]['log'] == {json.dumps(call.answer['log'])}"
        yield f"s.state[{call.thread!r}]['counter'] == {call.answer['counter']!r}"
