"""Every command of the README is run: in its order, in one folder, against one server."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from conformance.embedded import reference_server

ROOT = Path(__file__).parent.parent.parent
AGENT = ROOT / "tests" / "double_text" / "steps_agent.py"
README = (ROOT / "README.md").read_text()
# What takes long is made short, by options that the command does not have; everything else is run as it stands.
SHORTER = {"doubletext fuzz": "--max-examples 30 --shrink-time 1s --seed 4"}
BY_CI = ("python3 -m venv",)  # .ci/run runs exactly these two lines
# One ends only when it is told to, the other needs a finding of the reader's own: begun below by --help.
BEGUN = ("doubletext serve", "doubletext replay doubletext-report/findings/NAME")
PLACEHOLDERS = {
    "http://127.0.0.1:2024": "{url}",
    " URL": " {url}",
    "path/to/project": "project",
    "--target-pid 4711": "--target-pid {pid}",
    "my_server.main:app": "reference_impl.asgi:app",
}
TEST = """
def test_own(double_text_sync):
    first, second = ({"messages": [{"role": "user", "content": t}], "steps": [0.05]} for t in ("one", "two"))
    assert double_text_sync(first, second, "enqueue", "running").second.status == "success"
"""


def commands() -> list[str]:
    """The lines of the README's indented blocks that are commands, without their comments."""
    found = []
    for line in README.splitlines():
        match = re.match(r" {4,}((?:doubletext|pytest|python3 -m venv) .*)", line)
        if match:
            found.append(re.sub(r"\s{2,}#.*", "", match[1]).strip())
    return found


def test_there_are_commands_and_the_two_of_ci_among_them() -> None:
    assert len(commands()) > 12
    assert sum(c.startswith(BY_CI) for c in commands()) == 2
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with reference_server("--graph", f"agent={AGENT}:graph") as own:
        yield own


def listening(url: str) -> int:
    """The process that accepts the connections."""
    port = urlsplit(url).port
    listeners = (c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN)
    return next(c.pid for c in listeners if c.laddr.port == port)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as the README's reader has one; its pyproject.toml keeps each check short."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "project").mkdir()
    (folder / "project" / "langgraph.json").write_text(json.dumps({"dependencies": ["."], "graphs": {}}))
    (folder / "pyproject.toml").write_text('[tool.doubletext]\nonly = ["reject.c*"]\nseed = 3\n')
    own = {"messages": [{"role": "user", "content": "hello"}], "steps": [0.2, 0.2, 0.2]}
    (folder / "input.json").write_text(json.dumps(own))
    (folder / "src").mkdir()
    shutil.copy(AGENT, folder / "src" / "agent.py")
    (folder / "test_own.py").write_text(TEST)
    return folder


def test_every_command_runs(url: str, folder: Path) -> None:
    """In one test, since later ones read what earlier ones wrote."""
    broken = [said for c in commands() if not c.startswith(BY_CI) and (said := failure(c, url, folder)) is not None]
    assert not broken, "\n\n".join(broken)


def failure(command: str, url: str, folder: Path) -> str | None:
    """What a command says that does not succeed."""
    line = next((f"{command} {more}" for start, more in SHORTER.items() if command.startswith(start)), command)
    for old, new in PLACEHOLDERS.items():
        line = line.replace(old, new.format(url=url, pid=listening(url)))
    if line.startswith(BEGUN):
        line += " --help"
    tool = {"doubletext": [sys.executable, "-m", "conformance.cli"], "pytest": [sys.executable, "-m", "pytest"]}
    words = []
    for word in shlex.split(line):
        words += sorted(map(str, folder.glob(word))) if "*.jsonl" in word else [word]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*tool[words[0]], *words[1:]], cwd=folder, env=environment, capture_output=True, text=True, timeout=170
    )
    if done.returncode == 0 and "Traceback" not in done.stderr:
        return None
    return f"{line}\n{done.stdout[-3000:]}{done.stderr[-2000:]}"


def test_every_file_that_the_readme_names_is_there() -> None:
    for name in re.findall(r"`((?:conformance|tests|reference_impl|reports|\.github)/[\w./-]*)`", README):
        assert (ROOT / name).exists(), name
