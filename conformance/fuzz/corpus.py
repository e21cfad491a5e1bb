"""The corpus: programs that reached something new, or found something. It survives, and is tried first next time."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from conformance.config import BadOption
from conformance.fuzz.choosing import Chooser
from conformance.fuzz.coverage import Cell
from conformance.fuzz.findings import write
from conformance.fuzz.grammar import harms
from conformance.programs import Program

CONTESTANTS = 3  # of so many programs, the one of the rarest cell is varied
MOST_KEPT = 2000


class Database(Protocol):
    """Where programs survive. ``kind``: ``findings`` come before ``corpus``."""

    def load(self, kind: str) -> list[Program]:
        """All programs of a kind; what is damaged or of another version is left out."""
        ...

    def add(self, kind: str, program: Program) -> None:
        """Keep a program, once."""
        ...


def name_of(program: Program) -> str:
    """A name by what a program does, whatever it is called."""
    moves = json.dumps(program.to_json()["moves"], sort_keys=True)
    return hashlib.sha256(moves.encode()).hexdigest()[:20]


def read(text: str | bytes) -> Program | None:
    """The program of a text, if it is one of this version."""
    try:
        return Program.from_json(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


class Folder:
    """A database in a folder: one file a program, written as a whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            for kind in KINDS:
                (folder / kind).mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise BadOption(f"--database {folder}: {e.strerror or e}") from e

    def load(self, kind: str) -> list[Program]:
        """All programs of a kind, in a stable order."""
        texts: list[bytes] = []
        for file in sorted((self._folder / kind).glob("*.json")):
            try:
                texts.append(file.read_bytes())
            except OSError:
                continue  # taken away by somebody else just now
        return [p for text in texts if (p := read(text)) is not None]

    def add(self, kind: str, program: Program) -> None:
        """Keep a program, once."""
        file = self._folder / kind / f"{name_of(program)}.json"
        if not file.exists():
            write(file, json.dumps(program.to_json()) + "\n")


class Redis:
    """A database that many machines share: one hash a kind."""

    def __init__(self, url: str) -> None:
        try:
            import redis
        except ImportError as e:
            raise BadOption(
                "--database redis://… needs the package redis: pip install 'doubletext[distributed]'"
            ) from e
        self._failed: Any = redis.RedisError
        try:
            self._redis = redis.Redis.from_url(url, socket_timeout=10)
            self._redis.ping()
        except (redis.RedisError, ValueError) as e:
            # The URL may hold a password.
            raise BadOption(f"--database redis://…: {type(e).__name__}: is the server there, and the URL right?") from e

    def load(self, kind: str) -> list[Program]:
        """All programs of a kind, in a stable order; none where the server does not answer any more."""
        try:
            held: dict[bytes, bytes] = self._redis.hgetall(f"doubletext:{kind}")  # type: ignore[assignment]
        except self._failed:
            return []
        return [p for _, text in sorted(held.items()) if (p := read(text)) is not None]

    def add(self, kind: str, program: Program) -> None:
        """Keep a program, once, if the server still answers."""
        try:
            self._redis.hsetnx(f"doubletext:{kind}", name_of(program), json.dumps(program.to_json()))
        except self._failed:
            return


KINDS = ("findings", "corpus")


def open_database(where: str | None) -> Database | None:
    """The database that ``--database`` names.

    Raises:
        BadOption: it cannot be used.
    """
    if where is None:
        return None
    return Redis(where) if where.startswith(("redis://", "rediss://", "unix://")) else Folder(Path(where))


@dataclass
class Corpus:
    """What a campaign has seen that is worth a variation; and what it was left to try first."""

    database: Database | None = None
    first: deque[Program] = field(default_factory=deque)
    later: deque[Program] = field(default_factory=deque)  # what may harm the target for good
    _kept: list[tuple[Program, tuple[Cell, ...]]] = field(default_factory=list)

    @classmethod
    def of(cls, database: Database | None, more: Iterable[Program] = ()) -> Corpus:
        """With all programs of the database to be tried first."""
        first = [p for kind in KINDS for p in (database.load(kind) if database is not None else ())] + list(more)
        return cls(database, deque(p for p in first if not harms(p)), deque(p for p in first if harms(p)))

    def __len__(self) -> int:
        return len(self._kept)

    def programs(self, most: int) -> list[Program]:
        """The newest of them."""
        return [program for program, _ in self._kept[-most:]]

    def reached(self, program: Program, cells: Iterable[Cell]) -> None:
        """Keep a program that was the first to cover these cells."""
        if len(self._kept) < MOST_KEPT:
            self._kept.append((program, tuple(cells)))
            if self.database is not None:
                self.database.add("corpus", program)

    def found(self, program: Program) -> None:
        """Keep a program that found something."""
        if self.database is not None:
            self.database.add("findings", program)

    def choose(self, chooser: Chooser, seen: Counter[Cell]) -> Program:
        """A program to vary: rather one whose cells were seldom covered since."""
        some = [self._kept[chooser.below(len(self._kept))] for _ in range(CONTESTANTS)]
        return min(some, key=lambda kept: min((seen[c] for c in kept[1]), default=0))[0]
