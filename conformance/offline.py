"""Judging saved histories: the same verdicts as live, because live judges what loading a history would give.

What the histories do not say (which requirements were asked for, what could not run, in which order they were
judged) stands beside them in ``check.json``. Single histories, or a folder without it, are judged as they are.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from conformance import baseline
from conformance.any_graph import without_probe
from conformance.config import Options
from conformance.dialects import under
from conformance.events import Outcome
from conformance.history import OWN_GRAPH, WITHOUT_PROBE, BadHistory, History, Remark
from conformance.requirements import REGISTRY
from conformance.verdicts import Tally, decide, judge

SCHEMA = 1
FILE = "check.json"
TIMES = ("started", "duration_s")  # what an offline result has of its own
_DERIVED = {"results", "exit_code", "spread_ms", "cracks", "overlaps", *TIMES}


@dataclass(frozen=True)
class Kept:
    """What a check knew beside its histories.

    ``files`` in the order in which they were judged; ``exit_code`` where the verdicts do not decide it;
    ``frame``: the fields of its outcome that do not follow from the histories; ``plan``: how hard it tried.
    """

    requirements: tuple[str, ...]
    strict: bool
    files: tuple[str, ...]
    could_not_run: Mapping[str, str]
    exit_code: int | None
    frame: Mapping[str, Any]
    plan: Mapping[str, Any]

    @staticmethod
    def of(outcome: Outcome, **more: Any) -> Kept:
        """What is to be kept of a check with that outcome."""
        frame = {f.name: getattr(outcome, f.name) for f in fields(outcome) if f.name not in _DERIVED}
        return Kept(frame=frame, **more)

    def save(self, folder: Path) -> None:
        """Write it beside the histories."""
        value = {"doubletext-check": SCHEMA, **{f.name: getattr(self, f.name) for f in fields(self)}}
        (folder / FILE).write_text(json.dumps(value, indent=1) + "\n")

    @staticmethod
    def load(file: Path) -> Kept:
        """Read it again.

        Raises:
            BadHistory: it is foreign, of another schema, or damaged.
        """
        try:
            value = json.loads(file.read_bytes())
        except OSError as e:
            raise BadHistory(f"{file}: cannot be read: {e.strerror or e}") from e
        except (ValueError, RecursionError) as e:
            raise BadHistory(f"{file}: not JSON: {e}") from e
        if not isinstance(value, dict) or value.pop("doubletext-check", None) != SCHEMA:
            raise BadHistory(f"{file}: not what a check keeps beside its histories (schema {SCHEMA})")
        wanted = {f.name for f in fields(Kept)}
        if value.keys() != wanted:
            odd = sorted(value.keys() ^ wanted)
            raise BadHistory(f"{file}: {odd[0]!r} is {'unknown' if odd[0] in value else 'missing'}")
        _check(file, value)
        return Kept(**_tuples(value))


def _tuples(value: Mapping[str, Any]) -> Any:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}


def _check(file: Path, value: dict[str, Any]) -> None:
    """Raises BadHistory for a value of the wrong type."""
    kinds: dict[str, Any] = {
        "requirements": list,
        "strict": bool,
        "files": list,
        "could_not_run": dict,
        "exit_code": int | None,
        "frame": dict,
        "plan": dict,
    }
    for name, kind in kinds.items():
        if not isinstance(value[name], kind):
            raise BadHistory(f"{file}: {name} cannot be {str(value[name])[:60]}")
    for text in [*value["requirements"], *value["files"], *value["could_not_run"].values()]:
        if not isinstance(text, str):
            raise BadHistory(f"{file}: {text!r} should be a text")
    if unknown := [i for i in value["requirements"] if i not in REGISTRY]:
        raise BadHistory(f"{file}: no requirement {unknown[0]!r} in this version")
    wanted = {f.name for f in fields(Outcome)} - _DERIVED
    if value["frame"].keys() != wanted:
        odd = sorted(value["frame"].keys() ^ wanted)
        raise BadHistory(f"{file}: frame: {odd[0]!r} is {'unknown' if odd[0] in value['frame'] else 'missing'}")
    if not isinstance(value["frame"]["target"], dict) or not isinstance(value["frame"]["seed"], int):
        raise BadHistory(f"{file}: frame: target and seed are damaged")


@dataclass(frozen=True)
class Saved:
    """Histories that were found, in the order in which they are judged, and what was kept beside them."""

    histories: tuple[History, ...]
    kept: Kept | None


def find(paths: Sequence[Path]) -> Saved:
    """Load what is asked for: files, or folders of them (a report folder, too).

    Raises:
        BadHistory: a file is none, or one that ``check.json`` names is missing, or one is there that it does not name.
    """
    files: list[Path] = []
    kept: Kept | None = None
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        folder = path / "histories" if (path / "histories").is_dir() else path
        found = sorted(folder.glob("*.jsonl"))
        if (folder / FILE).exists() and len(paths) == 1:
            kept = Kept.load(folder / FILE)
            found = _in_order(folder, found, kept)
        if not found and kept is None:
            raise BadHistory(f"{path}: holds no histories (*.jsonl)")
        files += found
    histories = tuple(History.load(file) for file in files)
    for file, history in zip(files, histories, strict=True):
        if history.program["family"] == OWN_GRAPH:
            raise BadHistory(
                f"{file}: double texting tried on a graph of one's own (double_text). The requirements are judged by "
                "what the probe graph tells; read it with Result.of(History.load(path)) of conformance.double_text"
            )
    return Saved(histories, kept)


def _in_order(folder: Path, found: Sequence[Path], kept: Kept) -> list[Path]:
    there = {file.name: file for file in found}
    if missing := [name for name in kept.files if name not in there]:
        raise BadHistory(f"{folder / missing[0]}: missing, though {FILE} names it")
    if foreign := sorted(there.keys() - set(kept.files)):
        raise BadHistory(f"{folder / foreign[0]}: not of this check: {FILE} does not name it; judge it alone")
    return [there[name] for name in kept.files]


def judge_saved(saved: Saved, options: Options, started: str, duration_s: float) -> Outcome:
    """The outcome of saved histories; ``--only``, ``--skip`` and ``--strict`` narrow what the check asked for,
    ``--baseline`` replaces the one that it had.

    Raises:
        BadOption: ``--only`` or ``--skip`` leaves nothing, or the baseline cannot be read.
    """
    kept = saved.kept
    ids = options.selected(REGISTRY if kept is None else kept.requirements)
    requirements = under(saved.histories[0].dialect if saved.histories else {})
    if saved.histories and saved.histories[0].transport == WITHOUT_PROBE:
        requirements = without_probe(requirements)
    tally = Tally({i: requirements[i] for i in ids})
    tally.could_not_run.update({} if kept is None else kept.could_not_run)
    for history in saved.histories:
        tally.add(history, judge(history, ids))
    frame = _frame(saved) if kept is None else dict(kept.frame)
    results = tuple(tally.conclude())
    known = options.baseline or (kept.plan.get("baseline") if kept is not None else None)
    if known is not None:
        results = baseline.load(Path(known), requirements).applied(results)
    strict = options.strict or (kept is not None and kept.strict)
    decided = decide(results, strict, frame["lost"] is not None)
    return Outcome(
        results=results,
        exit_code=decided if kept is None or kept.exit_code is None else kept.exit_code,
        started=started,
        duration_s=duration_s,
        spread_ms=spread_of(saved.histories),
        cracks=tally.crack_trials(),
        overlaps=tally.overlaps(),
        **_tuples(frame),
    )


def spread_of(histories: Sequence[History]) -> float | None:
    """Over how many milliseconds the calls of bursts were sent (median)."""
    return middle([r.detail["spread_ms"] for h in histories for r in h.of(Remark) if r.kind == "burst"])


def middle(spreads: Sequence[float]) -> float | None:
    """The median as it is reported."""
    return round(statistics.median(spreads), 3) if spreads else None


def _frame(saved: Saved) -> dict[str, Any]:
    """What is known where nothing was kept: the target, as the histories name it."""
    first = saved.histories[0]
    target = {**first.target, "gate": first.transport, "dialect": dict(first.dialect)}
    frame: dict[str, Any] = {"target": target, "seed": 0, "interrupted": False, "lost": None, "leaked": 0}
    return frame
