"""A text notation for histories: one line a client, time to the right; to be written by hand, and pasted.

    A = emit@g emit
    B = emit

    ms        | 0                    20                             50
    client 1  | create A enqueue ─200
    client 2  |                      create B reject ─200
    run A     |                    enter 0                                    leave 0   enter 1  leave 1
    harness   |                                                     open g
    harness   |                                                                                          settled

    # A is inside its gate, which is opened 30 ms later: so B had to be refused.

**Lines**, in any order: *headers* (``transport: store``; also program, dialect, instance, target, metadata, clock,
scale), *scripts* (``A = emit@g~z! add note:A {"op": "emit", "sleep": 5}``: ``@`` gate, ``~`` swallow, ``!`` block,
``:`` the argument of note, effect, call and result), *checkpoints* (``c1 < c0 A0 A1``: its name, its parent, its
state), *lanes* (``name | items``), *notes* (``#7 step=3 answer.status="x"`` changes what record #7 says), records that
are not drawn (``#2 = answered A @12.5``), *names on the target* (``id run A = "5f…"``, ``created run A = …``, ``id
thread t = …``, ``id checkpoint c1 = …``), and comments (``# …``). Runs need no script where the transport is ``none``.
An empty line ends a block of lanes, whose bars stand under each other.

**Time**: an item happens at its first column, an answer comes at its own. A column is a millisecond (``scale: 10``:
ten), or what the ruler says: the lane ``ms``, whose ticks stand at their instants, with the columns between them in
proportion. Every block but the first needs a ruler. ``@10`` or ``@10..12`` at the end of an item gives its instants
where columns are too coarse. A call whose line ends in dashes is answered in the next block.

**Items**, two blanks or more between any two (``·`` counts as blanks), behind the dash what was answered:

    create A enqueue [on u] [in GROUP] ─200      on thread u (t if left out), in a burst; `default`: no strategy
           … [via wait|stream] [if-missing]      not by POST /runs; with if_not_exists=create
    stray A enqueue on n ─404                    a create on a thread that does not exist
    cancel A rollback [wait] [form true] ─204    cancel-many rollback A B ─204
    join A ─200 · stream A ─200 · new [on u] ─200 · call OP [of A] ─200
    get A ─success · get A ─404                  list ─A success B pending · list ─nothing
    thread ─busy [values A0 A1 …]                state ─A0 A1 counter 2 · state ─c2 · history ─c2 c1 c0
    A enter 0 [found A0 counter 1]               enter, leave [expired], raise, cancelled, swallowed, effect, …
    open g [─done]                               settled [on u] [waited S] [deadline S] [status S] · unsettled A B
    stop-waited A [told] [waited S]              remark KIND {json}

An answer is a status of three digits with a JSON body or none, ``lost ["why"]`` (the connection failed then), ``never``
(nothing came), or what a read returned. ``final:get A ─success`` gives the phase; without it reads are ``final`` after
their thread's epilogue, else ``body``. In a lane ``run A`` the tag is left out. A told item may go on with ``last TAG``
(whose input it found), ``under TAG|nobody`` (a foreign run id), ``clock K``, ``t MS``, ``seq N``, ``attempt X``, ``gate
K``, ``name N``. Words that are keywords, or hold blanks, are written as JSON strings.

A *state* is a list of entries (``A0``: superstep 0 of A; ``A1:2`` where that could be A or A1), then as needed
``counter N``, ``note X``, ``of TAG|nobody`` (whose input it holds), ``run TAG|nobody``, ``source X``, ``inputs A B``
(all its messages), and a JSON object for the rest.

**Defaults**: records are numbered in order of completion (or all by ``#n``). Ids are ``run-A`` and ``thread-t``; a
created run is pending; a refusal says "busy". Counter, note, messages and tool calls are those of the log by the
scripts. What a run found when it started is what stands before it in the log of the last read of the state (without
one: what was left before), and later its own supersteps too. Clock ``k`` runs with the harness's. A stop-wait took 2
of 2 s.
"""

from __future__ import annotations

from conformance.history import History, Remark, Told
from conformance.notation.building import READS, build
from conformance.notation.document import take_apart
from conformance.notation.drawing import (
    UNDRAWN,
    Drawn,
    Painter,
    checkpoints,
    differences,
    headers,
    ids,
    names_of,
    undrawn,
)
from conformance.notation.layout import Layout
from conformance.notation.words import BadNotation

__all__ = ["BadNotation", "parse", "render", "timeline"]

WIDTH = 118


def parse(text: str) -> History:
    """The history that a text says.

    Raises:
        BadNotation: it is none; the message names line and column and says what was expected there.
    """
    return build(take_apart(text))


def render(history: History, width: int = WIDTH) -> str:
    """The whole history as text: ``parse`` gives an equal one."""
    names = names_of(history)
    painter = Painter(names)
    drawn = [painter.draw(r) for r in history.records]
    above = [*headers(names), *checkpoints(names, painter)]
    below = ids(names)
    text = _text(above, drawn, history, below, width)
    said = parse(text)
    # What a superstep found is drawn only where it is not what anybody would expect.
    for old, new in zip(said.records, history.records, strict=True):
        if not isinstance(old, Told) or not isinstance(new, Told) or new.kind != "enter":
            continue
        if old.detail.get("found") != new.detail.get("found") and (log := painter.found(new)) is not None:
            painter.finds[new.n] = log
    if painter.finds:
        drawn = [painter.draw(r) for r in history.records]
        text = _text(above, drawn, history, below, width)
        said = parse(text)
    notes = []
    for old, new in zip(said.records, history.records, strict=True):
        if changed := differences(old, new):
            notes.append(f"#{new.n} {' '.join(changed)}")
    return text + "".join(f"{line}\n" for line in notes)


def timeline(history: History, width: int = WIDTH) -> str:
    """The drawing alone, for people: scripts and lanes, without what is only there to be read back.

    Of reads in a row that say the same, only the first and the last are drawn. Not to be parsed.
    """
    names = names_of(history)
    painter = Painter(names)
    scripts = [line for line in headers(names) if not line.startswith(("program:", "target:", "metadata:", "clock:"))]
    drawn = _without_repetition([d for d in map(painter.draw, history.records) if not _is_undrawn(history, d)])
    return "\n".join([*scripts, *checkpoints(names, painter), "", *Layout(width).draw(drawn)]) + "\n"


def _without_repetition(drawn: list[Drawn]) -> list[Drawn]:
    """Polls that say what the one before and the one after say are left out."""
    by_what: dict[tuple[str, str], list[Drawn]] = {}
    for item in drawn:
        if item.tail is not None and item.head.split(":")[-1].split(" ")[0] in READS:
            by_what.setdefault((item.lane, item.head), []).append(item)
    dull = {
        here.n
        for reads in by_what.values()
        for before, here, after in zip(reads, reads[1:], reads[2:], strict=False)
        if before.tail == here.tail == after.tail
    }
    return [item for item in drawn if item.n not in dull]


def _is_undrawn(history: History, drawn: Drawn) -> bool:
    record = history.records[drawn.n]
    return isinstance(record, Remark) and record.kind in UNDRAWN


def _text(above: list[str], drawn: list[Drawn], history: History, below: list[str], width: int) -> str:
    shown = [d for d in drawn if not _is_undrawn(history, d)]
    rest = [undrawn(d) for d in drawn if _is_undrawn(history, d)]
    lanes = Layout(width).draw(shown) if shown else []
    parts = [part for part in (above, lanes, [*rest, *below]) if part]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"
