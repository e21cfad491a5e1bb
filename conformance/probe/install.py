"""``doubletext probe DIR``: write the probe graph into an existing LangGraph project."""

from __future__ import annotations

import json
from pathlib import Path

NAME = "doubletext"
FILE = "doubletext_probe.py"
MARK = "# doubletext-probe:"
SOURCE = Path(__file__).parent / "graph.py"


class CannotInstall(Exception):
    """The project cannot take the probe; the text says why and what to do."""


def install(folder: Path) -> list[str]:
    """Write the probe and register it; returns what was done, in words.

    Raises:
        CannotInstall: no ``langgraph.json``, or a file of that name that doubletext did not write.
    """
    config = folder / "langgraph.json"
    try:
        value = json.loads(config.read_text())
        graphs = value.setdefault("graphs", {})
        known = graphs.get(NAME)
    except FileNotFoundError as e:
        raise CannotInstall(f"{config} does not exist: DIR must be a LangGraph project") from e
    except (OSError, ValueError, AttributeError) as e:
        raise CannotInstall(f"{config} cannot be read as a LangGraph project: {e}") from e
    wanted = f"./{FILE}:graph"
    if known not in (None, wanted):
        raise CannotInstall(f"{config} has a graph {NAME!r} already ({known}), which doubletext did not write")
    target, done = folder / FILE, []
    if target.exists() and not target.read_text(errors="replace").startswith(MARK):
        raise CannotInstall(f"{target} exists, and doubletext did not write it")
    target.write_text(SOURCE.read_text())
    done.append(f"wrote {target}")
    if known is None:
        graphs[NAME] = wanted
        config.write_text(json.dumps(value, indent=2) + "\n")
        done.append(f"registered {NAME!r} in {config}")
    return done
