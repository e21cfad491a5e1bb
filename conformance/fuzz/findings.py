"""Findings: a violation, what shows it, and the folder in which it is kept. The same bug twice is one finding."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.anomalies import anomaly_of
from conformance.dialects import under
from conformance.facts import Claim
from conformance.history import BadHistory, History
from conformance.notation import timeline
from conformance.programs import Program
from conformance.requirements.base import Level, Violation
from conformance.verdicts import EXPLAINABLE, Judged

SCHEMA = 1
FILE, PROGRAM, HISTORY = "finding.json", "program.json", "history.jsonl"


class BadFinding(Exception):
    """The folder holds no finding; the text says what is wrong with it."""


@dataclass(frozen=True)
class Key:
    """What makes two violations the same bug: requirement, anomaly, and the shape of the proof."""

    requirement: str
    anomaly: str
    shape: str

    @property
    def name(self) -> str:
        """The name of its folder."""
        digest = hashlib.sha256(f"{self.anomaly}\n{self.shape}".encode()).hexdigest()[:8]
        return f"{self.requirement}-{digest}"


@dataclass(frozen=True)
class Sighting:
    """One violation in one history."""

    key: Key
    violation: Violation


def sightings(judged: Mapping[str, Judged], dialect: Mapping[str, Any]) -> list[Sighting]:
    """What a history shows of bugs, each once.

    The model's verdict is the catch-all: where a named MUST fails in the same history, that one is the finding.
    """
    requirements = under(dialect)
    found: dict[Key, Sighting] = {}
    for id, said in judged.items():
        if requirements[id].level not in (Level.MUST, Level.SHOULD):
            continue
        for violation in said.violations:
            key = Key(id, anomaly_of(id, violation) or "", _shape(id, violation))
            if key not in found or len(violation.proof) < len(found[key].violation.proof):
                found[key] = Sighting(key, violation)
    named = any(requirements[k.requirement].level is Level.MUST for k in found if k.requirement != EXPLAINABLE)
    return [s for k, s in found.items() if k.requirement != EXPLAINABLE or not named]


def also_failed(judged: Mapping[str, Judged], requirement: str, dialect: Mapping[str, Any]) -> list[str]:
    """What fails in the history of a finding beside its ``requirement``."""
    requirements, levels = under(dialect), (Level.MUST, Level.SHOULD)
    failed = [id for id, said in judged.items() if said.violations and id != requirement]
    return [id for id in failed if requirements[id].level in levels or id == EXPLAINABLE]


def reproduces(rate: Sequence[int] | None, alone: Sequence[int] | None) -> str:
    """How often a finding comes back, in words: of so many executions, and of those while nothing else was executed."""
    if rate is None:
        return "not tried again"
    said = f"reproduces {rate[0]} of {rate[1]}"
    if alone is None or alone[0]:
        return said
    return f"{said}, but 0 of {alone[1]} while nothing else was executed: it may take other threads at work"


def _shape(id: str, violation: Violation) -> str:
    """The kinds of facts that prove it; of what nothing explains, what could not be explained, without its names."""
    if id == EXPLAINABLE:
        nameless = re.sub(r"\d[\d.]*", "N", re.sub(r"\b[A-Z]\d*\b", "R", violation.observed))
        return re.sub(r"R(?: R)+", "R", re.sub(r"(R \w+)(?:, R \w+)+", r"\1", nameless))
    return " ".join(dict.fromkeys(f.claim.kind if isinstance(f.claim, Claim) else "prose" for f in violation.proof))


@dataclass
class Finding:
    """A bug as it was found. ``rate``: how often its program showed it when it was run again; None: not tried."""

    key: Key
    level: str
    statement: str
    violation: Violation
    program: Program
    history: History
    seed: str  # of the program that first showed it
    seen: int = 1  # histories that showed it
    of: int = 1  # histories that were judged
    rate: tuple[int, int] | None = None
    alone: tuple[int, int] | None = None  # the same while nothing else was executed, where that is certain to tell
    shrunk: bool = False
    original: Program | None = None  # before it was made smaller
    embedded: bool = False  # found on the embedded reference server
    others: list[str] = field(default_factory=list)  # requirements that fail in the same history
    shown_by: tuple[Program, ...] = ()  # other programs that showed it: the first may have been lucky

    def text(self) -> str:
        """The finding in words: requirement, sentence, expected, observed, facts in order."""
        lines = [
            f"{self.key.requirement} ({self.level}): {self.statement}",
            f"expected: {self.violation.expected}",
            f"observed: {self.violation.observed}",
            *([f"anomaly:  {self.key.anomaly}"] if self.key.anomaly else []),
            "because:",
            *(f"  {i}. {fact}" for i, fact in enumerate(self.violation.proof, 1)),
            f"seen in {self.seen} of {self.of} histories; {reproduces(self.rate, self.alone)}",
            *self._schedule(),
        ]
        return "\n".join(lines)

    def _schedule(self) -> list[str]:
        """What is said of the schedule by which it was found, in-process."""
        target = self.history.target
        if "schedule" not in target:
            return []
        exact = target.get("exact")
        makes = "makes this history again" + (": tried" if exact else "")
        if exact is False:
            makes = "did NOT make this history again: something in the application is out of the seed's reach"
        return [f"its schedule, {target['schedule']!r}, {makes}"]

    def to_json(self) -> dict[str, Any]:
        """Everything but program and history, which stand beside it."""
        return {
            "doubletext-finding": SCHEMA,
            "requirement": self.key.requirement,
            "level": self.level,
            "anomaly": self.key.anomaly or None,
            "shape": self.key.shape,
            "statement": self.statement,
            "expected": self.violation.expected,
            "observed": self.violation.observed,
            "proof": [str(fact) for fact in self.violation.proof],
            "also": self.others,
            "seed": self.seed,
            "seen": self.seen,
            "of": self.of,
            "rate": None if self.rate is None else list(self.rate),
            "alone": None if self.alone is None else list(self.alone),
            "shrunk": self.shrunk,
            "target": dict(self.history.target),
            "embedded": self.embedded,
            "transport": self.history.transport,
            "dialect": dict(self.history.dialect),
        }

    def save(self, folder: Path, reproduce: str | None = None) -> Path:
        """Write it as a folder of its own; what is there of the same bug is replaced, file by file."""
        place = folder / self.key.name
        place.mkdir(parents=True, exist_ok=True)
        write(place / HISTORY, self.history.to_text())
        write(place / PROGRAM, json.dumps(self.program.to_json(), indent=1) + "\n")
        if self.original is not None:
            write(place / "original.json", json.dumps(self.original.to_json(), indent=1) + "\n")
        write(place / "timeline.txt", timeline(self.history))
        again = f"doubletext replay {shlex.quote(str(place))}{'' if self.history.target.get('app') else ' URL'}"
        write(place / "finding.txt", f"{self.text()}\n\nagain: {again}\n\n{timeline(self.history)}")
        if reproduce is not None:
            write(place / "reproduce.py", reproduce)
        write(place / FILE, json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n")
        return place


@dataclass(frozen=True)
class Saved:
    """What a replay needs of a finding's folder."""

    folder: Path
    key: Key
    program: Program
    history: History
    about: Mapping[str, Any]


def load(folder: Path) -> Saved:
    """Read a finding's folder.

    Raises:
        BadFinding: it is none, of another schema, or damaged.
    """
    try:
        about = json.loads((folder / FILE).read_bytes())
        if not isinstance(about, dict) or about.get("doubletext-finding") != SCHEMA:
            raise BadFinding(f"{folder / FILE}: not a finding (schema {SCHEMA})")
        key = Key(str(about["requirement"]), str(about["anomaly"] or ""), str(about["shape"]))
        program = Program.from_json(json.loads((folder / PROGRAM).read_bytes()))
        return Saved(folder, key, program, History.load(folder / HISTORY), about)
    except OSError as e:
        raise BadFinding(f"{e.filename or folder}: cannot be read: {e.strerror or e}") from e
    except (ValueError, KeyError, TypeError, RecursionError, BadHistory) as e:
        raise BadFinding(f"{folder}: damaged: {e}") from e


def write(file: Path, text: str) -> None:
    """Write a file as a whole or not at all."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as out:
            out.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
