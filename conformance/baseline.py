"""Baselines: the failures that a team knows of, with a reason each.

A known failure does not fail the check, an unlisted one does. An entry that no longer fails is *stale* and
fails the check too, so that the file never says more than is true. The file is TOML, as dialects and options
are: people write reasons into it, and reviewers read it.
"""

from __future__ import annotations

import datetime
import difflib
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from conformance.config import BadOption, Options
from conformance.dialects import find_dialect, under
from conformance.events import Outcome
from conformance.requirements import REGISTRY, Level, Requirement
from conformance.verdicts import Known, Result

DOUBT = 0.05  # an entry is stale when its failures, if nothing had changed, would be missed less often than this
UNEXPLAINED = "not explained yet"  # begins the reason that --write-baseline gives
HEAD = f"""\
# Failures that are known, for `doubletext check --baseline`. Say in each reason why it is accepted: those
# that begin with "{UNEXPLAINED}" are shown as such. `--write-baseline` keeps reasons, but not comments.
"""
KEYS: dict[str, type] = {
    "reason": str,
    "rate": str,
    "failed": int,
    "exercised": int,
    "server": str,
    "version": str,
    "date": str,
}


@dataclass(frozen=True)
class Entry:
    """One known failure: why it is accepted, and how often it was seen, where and when."""

    reason: str
    rate: str
    failed: int
    exercised: int
    server: str = ""
    version: str = ""
    date: str = ""

    @property
    def explained(self) -> bool:
        """A person has given the reason."""
        return not self.reason.startswith(UNEXPLAINED)

    def shown(self) -> str:
        """The recorded rate, for people."""
        return f"{self.rate}, {self.failed} of {self.exercised}"


def chance_unseen(failed: int, exercised: int, trials: int) -> float:
    """How likely ``trials`` without a failure are, beside ``failed`` of ``exercised``, if nothing has changed.

    All failures then fell among the recorded trials by chance alone (Fisher's exact test): the true rate need
    not be known, and a rate from few trials is not taken for more than it is.
    """
    return math.comb(exercised, failed) / math.comb(exercised + trials, failed)


def trials_to_tell(entry: Entry) -> int:
    """The number of trials without failure from which on the entry is stale."""
    if entry.rate == "always":
        return 1
    low, high = 0, 1
    while chance_unseen(entry.failed, entry.exercised, high) >= DOUBT:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if chance_unseen(entry.failed, entry.exercised, middle) < DOUBT:
            high = middle
        else:
            low = middle
    return high


@dataclass(frozen=True)
class Baseline:
    """The entries of one file, by requirement id."""

    entries: Mapping[str, Entry] = field(default_factory=dict)

    def applied(self, results: Sequence[Result]) -> tuple[Result, ...]:
        """The results, each with what the baseline knows of it."""
        return tuple(
            replace(r, known=self._known(self.entries[r.requirement.id], r)) if r.requirement.id in self.entries else r
            for r in results
        )

    def _known(self, entry: Entry, result: Result) -> Known | None:
        recorded = {name: getattr(entry, name) for name in KEYS}
        if result.verdict == "fail":
            note = "" if entry.explained else "the baseline does not explain it yet"
            return Known("failing", note, **recorded)
        if result.verdict != "pass":
            return None  # nothing was learned of it
        needed = trials_to_tell(entry)
        if result.exercised >= needed:
            why = f"recorded as failing {entry.shown()}, it was exercised {result.exercised} times and did not fail"
            return Known("stale", f"{why}. Remove the entry, or run with --write-baseline", **recorded)
        repeat = math.ceil(needed / max(1, result.exercised))
        why = f"not seen in {result.exercised} trials, which proves nothing yet: {needed} would (--repeat {repeat})"
        return Known("unseen", why, **recorded)

    def updated(self, results: Sequence[Result], target: Mapping[str, Any]) -> Baseline:
        """These entries as the results have it: new failures added, stale ones removed, reasons kept."""
        entries = dict(self.entries)
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        for r in results:
            id = r.requirement.id
            if r.verdict == "fail":
                old = entries.get(id)
                reason = old.reason if old else f"{UNEXPLAINED}: {r.found[0].violation.observed}"
                server, version = (str(target.get(k) or "") for k in ("server", "version"))
                entries[id] = Entry(reason, r.rate, r.failed, r.exercised, server, version, today)
            elif r.known is not None and r.known.state == "stale":
                entries.pop(id, None)
        return Baseline(entries)

    def renew(self, file: Path, outcome: Outcome) -> str:
        """Bring the file up to date with a finished check; says what was done.

        Raises:
            BadOption: it cannot be written.
        """
        if outcome.lost is not None or outcome.interrupted:
            return f"{file} was left as it is: the check did not reach its end"
        new = self.updated(outcome.results, outcome.target)
        try:
            file.write_text(new.to_toml(), encoding="utf-8", errors="replace")
        except OSError as e:
            raise BadOption(f"--baseline {file}: {e.strerror or e}") from e
        unexplained = sum(not entry.explained for entry in new.entries.values())
        todo = f"; give the reason of {unexplained} of them" if unexplained else ""
        return f"wrote {file}: {len(new.entries)} known failures{todo}"

    def to_toml(self) -> str:
        """The file, in the order of the specification."""
        parts = [HEAD]
        for id in sorted(self.entries, key=list(REGISTRY).index):
            lines = [f"{k} = {_toml(getattr(self.entries[id], k))}" for k in KEYS if getattr(self.entries[id], k) != ""]
            parts.append("\n".join([f'[requirements."{id}"]', *lines, ""]))
        return "\n".join(parts)


def _toml(value: str | int) -> str:
    """A TOML basic string is a JSON string, DEL aside."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def of_options(options: Options, missing_ok: bool = False) -> Baseline | None:
    """The baseline that the options name; None where they name none. Raises as ``load`` and ``find_dialect`` do."""
    if options.baseline is None:
        return None
    return load(Path(options.baseline), under(find_dialect(options.dialect)), missing_ok)


def load(file: Path, requirements: Mapping[str, Requirement] = REGISTRY, missing_ok: bool = False) -> Baseline:
    """Read a baseline; with ``missing_ok`` a file that does not exist is an empty one.

    Raises:
        BadOption: it cannot be read, names an unknown requirement, or an entry makes no sense.
    """
    where = f"--baseline {file}"
    try:
        value = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        if missing_ok:
            return Baseline()
        raise BadOption(f"{where}: there is no such file; --write-baseline makes one") from e
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise BadOption(f"{where}: {e}") from e
    table = value.get("requirements", {})
    if set(value) - {"requirements"} or not isinstance(table, dict):
        raise BadOption(f'{where}: it must hold tables [requirements."ID"], and nothing else')
    return Baseline({id: _entry(id, given, requirements, where) for id, given in table.items()})


def _entry(id: str, given: Any, requirements: Mapping[str, Requirement], where: str) -> Entry:
    if id not in requirements:
        near = difflib.get_close_matches(id, requirements, 1, 0.6)
        hint = f"did you mean {near[0]!r}?" if near else "`doubletext list` shows them all"
        raise BadOption(f"{where}: no requirement {id!r}; {hint}")
    if (level := requirements[id].level) in (Level.POLICY, Level.HAZARD):
        raise BadOption(f"{where}: {id} is a {level} and never fails; remove the entry")
    if not isinstance(given, dict):
        raise BadOption(f'{where}: write [requirements."{id}"], with the quotation marks')
    for key, value in given.items():
        if key not in KEYS:
            raise BadOption(f"{where}: {id} has an unknown key {key!r}; known are {', '.join(KEYS)}")
        if not isinstance(value, KEYS[key]) or isinstance(value, bool):
            raise BadOption(f"{where}: {id}: {key} must be a {KEYS[key].__name__}, not {value!r}")
    missing = [k for k in ("reason", "rate", "failed", "exercised") if k not in given]
    if missing:
        raise BadOption(f"{where}: {id} lacks {', '.join(missing)}")
    entry = Entry(**given)
    if not entry.reason.strip():
        raise BadOption(f"{where}: {id} needs a reason: why is this failure accepted?")
    if not 0 < entry.failed <= entry.exercised:
        raise BadOption(f"{where}: {id}: failed must be from 1 to exercised ({entry.exercised}), not {entry.failed}")
    rate = "always" if entry.failed == entry.exercised else "sometimes"
    if entry.rate != rate:
        raise BadOption(f"{where}: {id}: {entry.failed} of {entry.exercised} is {rate!r}, not {entry.rate!r}")
    return entry
