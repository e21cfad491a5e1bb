"""What is expected of real servers: the files expectation_….toml, read and checked."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FILE = Path(__file__).parent / "expectation_langgraph_dev.toml"
Verdict = Literal["pass", "fail", "fail or open", "sometimes", "classified", "not-applicable"]


@dataclass(frozen=True)
class Expected:
    """One entry. ``sometimes``: failed in some runs of the check and not in others; both are accepted. ``fail or
    open``: it fails, or an earlier failure of the server's leaves nothing to judge it by."""

    id: str
    verdict: Verdict
    reason: str = ""
    rate: str = ""  # of failing histories, over all measured runs
    runs: str = ""  # of failing runs of the whole check
    confirmed_by: tuple[str, ...] = ()
    overlap: bool = True
    policy: tuple[str, ...] = ()
    hazard: bool = False

    @property
    def accepted(self) -> tuple[str | None, ...]:
        """The verdicts that the check may have reached."""
        outcomes: dict[Verdict, tuple[str | None, ...]] = {
            "pass": ("pass",),
            "fail": ("fail",),
            "fail or open": ("fail", "inconclusive"),
            "sometimes": ("pass", "fail"),
            "classified": (None,),
            "not-applicable": ("not-applicable",),
        }
        return outcomes[self.verdict]


def load(file: Path = FILE) -> tuple[dict[str, str], dict[str, Expected]]:
    """The measured versions, and the entries by requirement id.

    Raises:
        ValueError: an entry makes no sense.
    """
    value: dict[str, Any] = tomllib.loads(file.read_text())
    entries: dict[str, Expected] = {}
    for id, fields in value["requirements"].items():
        lists = {k: tuple(v) for k, v in fields.items() if isinstance(v, list)}
        entry = entries[id] = Expected(id, **{**fields, **lists})
        if entry.verdict in ("fail", "fail or open", "sometimes") and not (entry.reason and entry.rate and entry.runs):
            raise ValueError(f"{file.name}: {id} is expected to fail and lacks reason, rate or runs")
        if entry.verdict == "fail" and not entry.confirmed_by:
            raise ValueError(f"{file.name}: {id} is expected to fail and nothing confirms that")
    return value["measured"], entries
