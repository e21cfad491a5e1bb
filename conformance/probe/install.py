"""``doubletext probe DIR``: write the probe graph into an existing LangGraph project."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NAME = "doubletext"
Language = Literal["python", "js"]


class CannotInstall(Exception):
    """The project cannot take the probe; the text says why and what to do."""


@dataclass(frozen=True)
class Kind:
    """How the probe of one language is called, and how a file shows that doubletext wrote it."""

    source: Path
    file: str
    mark: str

    @property
    def entry(self) -> str:
        """Its entry in ``langgraph.json``."""
        return f"./{self.file}:graph"


HERE = Path(__file__).parent
KINDS: dict[Language, Kind] = {
    "python": Kind(HERE / "graph.py", "doubletext_probe.py", "# doubletext-probe:"),
    "js": Kind(HERE / "graph.ts", "doubletext_probe.ts", "// doubletext-probe:"),
}


def install(folder: Path, language: Language = "python") -> list[str]:
    """Write the probe and register it; returns what was done, in words.

    Raises:
        CannotInstall: no ``langgraph.json``, or a file or a graph of that name that doubletext did not write.
    """
    kind, config = KINDS[language], folder / "langgraph.json"
    try:
        value = json.loads(config.read_text())
        graphs = value.setdefault("graphs", {})
        known = graphs.get(NAME)
    except FileNotFoundError as e:
        raise CannotInstall(f"{config} does not exist: DIR must be a LangGraph project") from e
    except (OSError, ValueError, AttributeError) as e:
        raise CannotInstall(f"{config} cannot be read as a LangGraph project: {e}") from e
    if known in {k.entry for k in KINDS.values()} - {kind.entry}:
        raise CannotInstall(f"{config} has the probe in another language ({known}): remove that entry first")
    if known not in (None, kind.entry):
        raise CannotInstall(f"{config} has a graph {NAME!r} already ({known}), which doubletext did not write")
    target, done = folder / kind.file, []
    if target.exists() and not target.read_text(errors="replace").startswith(kind.mark):
        raise CannotInstall(f"{target} exists, and doubletext did not write it")
    target.write_text(kind.source.read_text())
    done.append(f"wrote {target}")
    if known is None:
        graphs[NAME] = kind.entry
        config.write_text(json.dumps(value, indent=2) + "\n")
        done.append(f"registered {NAME!r} in {config}")
    return done
