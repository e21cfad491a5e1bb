"""The terminal: failures first and short, 80 columns, no colour where none is wanted, and nothing that it obeys."""

from __future__ import annotations

import io
import re
from typing import Any

import anyio
import pytest
from rich.console import Console

from conformance.config import Options, Plan
from conformance.dialects import Dialect
from conformance.driver import Check
from conformance.events import Executed, Surveyed, Trying
from conformance.execution.scene import TargetLost
from conformance.history import History
from conformance.report.drawn import drawn, harmless
from conformance.report.terminal import MOST_IN_FULL, TerminalReport
from tests.report.making import TARGET, finder, judged, malicious, violations


def said(histories: list[History], *, quiet: bool = False, verbose: bool = False, width: int = 80) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, no_color=True)
    TerminalReport(console, quiet, verbose, finder(histories))(judged(histories))
    return out.getvalue()


def test_failures_first_the_musts_before_the_shoulds_and_the_table_after_them() -> None:
    text = said(violations())
    table = text.index("requirement ")
    heads = re.findall(r"^([a-z-]+\.[a-z-]+) \((MUST|SHOULD)\):", text, re.M)
    assert len(heads) > MOST_IN_FULL
    assert [level for _, level in heads] == sorted((level for _, level in heads))
    assert all(text.index(f"{id} (") < table for id, _ in heads)
    assert text.count("because:") == MOST_IN_FULL
    assert "--verbose" in text


def test_verbose_has_every_proof_and_every_timeline() -> None:
    histories = violations("re*")
    text = said(histories, verbose=True)
    fails = sum(r.verdict == "fail" for r in judged(histories).results)
    assert text.count("because:") == fails
    assert text.count("ms      ") >= fails


def test_quiet_has_failures_and_the_last_line_only() -> None:
    text = said(violations(), quiet=True)
    assert "requirement " not in text
    assert re.search(r"\d+ pass, \d+ fail", text.splitlines()[-1] + text.splitlines()[-2])


def test_progress_fits_and_says_what_was_done_and_how_long_still() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, no_color=True)
    report = TerminalReport(console, quiet=False)
    report(Surveyed(TARGET, "callback", 8, 600))
    for done in range(1, 200):
        report(Trying(("rollback-running/0", f"a-program-with-a-rather-long-name/{done}")))
        report(Executed("rollback-running/0", done, 600, (), True))
    assert report._live is not None
    report._live.refresh()
    report.stop()
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]", out.getvalue())]
    shown = [line for line in lines if "199/600" in line]
    assert shown
    assert all(len(line.rstrip()) <= 80 for line in lines)
    assert "left" in shown[-1]
    assert shown[-1].strip().startswith("a-program-with-a-rather-… +1 ")


def test_progress_names_what_is_under_way_and_not_what_is_over() -> None:
    out = io.StringIO()
    report = TerminalReport(Console(file=out, width=80, force_terminal=True, no_color=True), quiet=False)
    report(Surveyed(TARGET, "callback", 8, 3))
    for event, now in (
        (Trying(("reject-running/0",)), "reject-running/0 "),
        (Trying(("reject-running/0", "queue/1")), "queue/1 +1 "),
        (Executed("reject-finished/2", 1, 3, (), True), "queue/1 +1 "),
        (Trying(("reject-running/0",)), "reject-running/0 "),
        (Trying(()), "judging "),
    ):
        report(event)
        assert report._progress.tasks[0].description + " " == now
    report.stop()


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = io.StringIO()
    TerminalReport(Console(file=out, width=80, force_terminal=True), quiet=False)(judged(violations("re*")))
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", out.getvalue())


@pytest.mark.parametrize("verbose", [False, True])
def test_a_servers_texts_are_not_obeyed(verbose: bool) -> None:
    histories = [malicious(h, "\x1b[2J\x1b]0;pwned\x07\u202e") for h in violations("re*")]
    text = said(histories, verbose=verbose)
    assert "\x1b" not in text
    assert "\x07" not in text
    for history in histories:
        assert "\x1b" not in drawn(history)


def test_harmless_keeps_lines_and_words() -> None:
    assert harmless("a\n  b → ü\tc") == "a\n  b → ü\tc"
    assert "\x1b" not in harmless("\x1b[31m")


def test_what_would_have_been_legal() -> None:
    text = said(violations("rollback.deleted-3"))
    assert "legal:    get A → 404 instead of #11" in text
    assert text.index("observed: A reads as interrupted") < text.index("legal:    get A")


@pytest.mark.anyio
async def test_the_engine_tells_what_is_under_way() -> None:
    told: list[Any] = []
    check = Check(Plan("http://127.0.0.1:9", Options(), Dialect(), 1), [told.append])
    first, second = check.programs()[:2]
    async with check._slot_of(first, anyio.CapacityLimiter(1)):
        with pytest.raises(TargetLost):
            async with check._slot_of(second, anyio.CapacityLimiter(1)):
                raise TargetLost("it could not run")
    both = (first.name, second.name)
    assert told == [Trying(both[:1]), Trying(both), Trying(both[:1]), Trying(())]
