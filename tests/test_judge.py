"""``doubletext judge``: offline verdicts are the live ones; and a real check's histories can be drawn and read back."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.embedded import stop
from conformance.history import History, Told
from conformance.notation import parse, render, timeline
from conformance.verdicts import judge

DOUBLETEXT = (sys.executable, "-m", "conformance.cli")
VARIED = (
    "thread.independent",
    "thread.work-stops",
    "default.strategy",
    "displaced.*",
    "rollback.effects",
    "interrupt.tool-calls",
    "enqueue.fifo",
    "enqueue.survives-failure",
    "enqueue.accepted",
    "reject.code",
)


def doubletext(*arguments: str, cwd: Path, expect: int = 0) -> str:
    done = subprocess.run([*DOUBLETEXT, *arguments], capture_output=True, text=True, cwd=cwd, timeout=240, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The report folder of a check of some 40 varied programs on a server that refuses without a reason."""
    folder = tmp_path_factory.mktemp("live")
    server = subprocess.Popen(
        [*DOUBLETEXT, "serve", "--port", "0", "--defect", "refusal-without-reason"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = re.search(r"http://\S+", server.stdout.readline())
        assert url is not None
        only = [part for glob in VARIED for part in ("--only", glob)]
        doubletext("check", url[0], *only, "--report", "json,junit", "--seed", "5", cwd=folder, expect=1)
        yield folder / "doubletext-report"
    finally:
        stop(server)


def result(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return value


def copied(live: Path, to: Path) -> Path:
    return Path(shutil.copytree(live / "histories", to / "histories"))


def test_offline_verdicts_are_the_live_ones_byte_for_byte(live: Path, tmp_path: Path) -> None:
    doubletext(
        "judge", str(live / "histories"), "--report-dir", "again", "--report", "json,junit", cwd=tmp_path, expect=1
    )
    texts = [
        re.sub(r'"(started|duration_s)": [^\n]*', r"\1", (folder / "result.json").read_text())
        for folder in (live, tmp_path / "again")
    ]
    assert texts[0] == texts[1]
    found = {r["id"]: r for r in result(live)["requirements"]}
    assert found["reject.code"]["verdict"] == "fail"
    assert len(found["reject.code"]["violations"]) > 1
    assert any(r["policy"] for r in found.values())
    assert any(r["hazard"] for r in found.values())
    assert result(live)["started"] != ""
    times = [re.sub(r'(time|timestamp)="[^"]*"', "", (f / "junit.xml").read_text()) for f in (live, tmp_path / "again")]
    assert times[0] == times[1]


def test_what_the_check_found_and_nothing_else_may_lie_there(live: Path, tmp_path: Path) -> None:
    folder = copied(live, tmp_path)
    first, second = sorted(folder.glob("*.jsonl"))[:2]
    text = first.read_text()
    first.unlink()
    said = doubletext("judge", str(folder), cwd=tmp_path, expect=2)
    assert f"{first.name}: missing, though check.json names it" in said
    first.write_text(text)
    shutil.copy(second, folder / "foreign.jsonl")
    assert "foreign.jsonl: not of this check" in doubletext("judge", str(folder), cwd=tmp_path, expect=2)


def test_damaged_files_are_refused_with_file_and_line(live: Path, tmp_path: Path) -> None:
    folder = copied(live, tmp_path)
    file = sorted(folder.glob("*.jsonl"))[0]
    lines = file.read_text().splitlines(keepends=True)
    for damaged, message in [
        (lines[:-1], "truncated"),
        ([lines[0], lines[2], lines[1], *lines[3:]], "line 2: record #1 where #0 is expected"),
        (["{}\n", *lines[1:]], "line 1: not a history"),
        ([lines[0].replace('"doubletext-history": 1', '"doubletext-history": 2'), *lines[1:]], "line 1: schema 2"),
        ([*lines[:3], lines[3].replace('"n": 2', '"n": "2"'), *lines[4:]], "line 4: the n of a"),
        ([*lines[:3], "nonsense\n", *lines[4:]], "line 4 is not JSON"),
    ]:
        file.write_text("".join(damaged))
        said = doubletext("judge", str(folder), cwd=tmp_path, expect=2)
        assert file.name in said
        assert message in said
    file.write_text("".join(lines))
    check = folder / "check.json"
    for damaged_check in (
        "",
        "[]",
        '{"doubletext-check": 9}',
        check.read_text().replace('"strict": false', '"strict": 3'),
    ):
        check.write_text(damaged_check)
        assert "check.json" in doubletext("judge", str(folder), cwd=tmp_path, expect=2)
    check.unlink()
    said = doubletext("judge", str(folder), "--only", "reject.code", "--quiet", cwd=tmp_path, expect=1)
    assert "was refused with 409 and the body" in " ".join(said.split())


def test_single_histories_are_judged_alone(live: Path, tmp_path: Path) -> None:
    files = sorted((live / "histories").glob("*.jsonl"))[:3]
    said = doubletext("judge", *map(str, files), "--only", "thread.settles", cwd=tmp_path, expect=3)
    assert "thread.settles" in said
    assert not (tmp_path / "doubletext-report").exists()
    assert "cannot be read" in doubletext("judge", "absent.jsonl", cwd=tmp_path, expect=2)
    assert "holds no histories" in doubletext("judge", str(tmp_path), cwd=tmp_path, expect=2)
    said = doubletext("judge", str(files[0]), "--only", "x.*", cwd=tmp_path, expect=2)
    assert "no requirement matches" in said


def test_every_saved_history_is_read_back_equal_from_its_drawing(live: Path) -> None:
    files = sorted((live / "histories").glob("*.jsonl"))
    assert len(files) >= 40
    for file in files:
        history = History.load(file)
        text = render(history)
        again = parse(text)
        assert again == history, file
        assert judge(again) == judge(history)
        # The drawing says it: notes are only for the probe's clock, for a few texts, and for the strategy that a
        # server reports where none was asked for, which every poll shows again.
        notes = [
            line
            for line in text.splitlines()
            if line.startswith("#") and " = " not in line and ".strategy=" not in line
        ]
        assert len(notes) <= sum(1 for _ in history.of(Told)) + 12
        drawn = timeline(history).splitlines()
        assert sum(len(line) > 118 for line in drawn) <= len(drawn) / 5  # single wide items
