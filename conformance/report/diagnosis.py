"""The doctor's findings for people: one line a question, and below each no what to do about it."""

from __future__ import annotations

import shlex

from rich.text import Text

from conformance.doctor import Diagnosis


def lines(diagnosis: Diagnosis) -> list[Text]:
    """The findings, what was measured, and the command to go on with."""
    width = max((len(f.topic) for f in diagnosis.findings), default=0)
    shown = [Text(diagnosis.url, style="bold")]
    for f in diagnosis.findings:
        shown.append(Text.assemble(("yes  " if f.ok else "no   ", "green" if f.ok else "yellow"), f.topic.ljust(width)))
        shown[-1].append(f"  {f.text}")
        if f.advice:
            shown.append(Text(f"     {' ' * width}  -> {f.advice.rstrip('.')}", style="yellow"))
    if diagnosis.measured:
        measured = ", ".join(f"{name} = {value}" for name, value in sorted(diagnosis.measured.items()))
        shown.append(Text(f"measured: {measured}"))
    if not diagnosis.usable:
        return [*shown, Text("it cannot be checked", style="bold red")]
    command = f"doubletext check {shlex.quote(diagnosis.url)}"
    if diagnosis.assistant != "doubletext":
        command += f" --assistant {shlex.quote(diagnosis.assistant)}"
    if diagnosis.dialect != "agent-server":
        command += f" --dialect {'FILE' if diagnosis.dialect == 'custom' else diagnosis.dialect}"
    return [*shown, Text(f"it can be checked: {command}", style="bold green")]
