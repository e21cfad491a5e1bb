"""``doubletext fuzz`` and ``doubletext replay`` as a user types them, on the reference server and on broken ones."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.embedded import reference_server
from conformance.fuzz.campaign import TAIL_S
from conformance.history import History
from conformance.programs import Program, emit, program

DOUBLETEXT = (sys.executable, "-m", "conformance.cli")


def doubletext(*arguments: str, cwd: Path, expect: int) -> str:
    done = subprocess.run([*DOUBLETEXT, *arguments], capture_output=True, text=True, cwd=cwd, timeout=180, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def broken() -> Iterator[str]:
    with reference_server("--defect", "queue-of-one") as url:
        yield url


@pytest.fixture(scope="module")
def finding(broken: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a short campaign found of a queue with one place, made smaller."""
    folder = tmp_path_factory.mktemp("found")
    said = doubletext(
        "fuzz", broken, "--max-examples", "40", "--seed", "1", "--shrink-time", "20s", "--only", "enqueue.*",
        cwd=folder, expect=1,
    )  # fmt: skip
    assert "enqueue.accepted" in said
    (found,) = (folder / "doubletext-report" / "findings").glob("enqueue.accepted-*")
    return found


def test_a_finding_is_a_folder_with_everything_in_it(finding: Path) -> None:
    about = json.loads((finding / "finding.json").read_text())
    assert about["requirement"] == "enqueue.accepted"
    assert about["level"] == "MUST"
    assert about["proof"]
    assert about["seen"] >= 1
    assert about["rate"][0] >= 1
    assert about["seed"].startswith("1/")
    assert about["target"]["server"] == "doubletext-reference"
    program = Program.from_json(json.loads((finding / "program.json").read_text()))
    assert History.load(finding / "history.jsonl").program == json.loads(json.dumps(program.to_json()))
    assert len(program.creates()) <= 6  # the hand-made minimum is three
    assert "create" in (finding / "timeline.txt").read_text()
    doubletext("judge", str(finding / "history.jsonl"), "--only", "enqueue.accepted", cwd=finding, expect=1)


def test_a_campaign_has_a_page(finding: Path) -> None:
    reports = finding.parent.parent
    assert embedded(reports / "fuzz.html") == json.loads((reports / "fuzz.json").read_text())


def embedded(page: Path) -> object:
    text = page.read_text().partition('id="doubletext-result">')[2].partition("</script>")[0]
    return json.loads(text)


def test_it_is_still_failing_where_nothing_was_changed(finding: Path, broken: str) -> None:
    said = doubletext("replay", str(finding), broken, "--report", "json,html", cwd=finding, expect=1)
    assert "still failing (" in said
    assert "expected:" in said
    reports = finding / "doubletext-report"
    value = json.loads((reports / "replay.json").read_text())
    assert embedded(reports / "replay.html") == value
    assert f"still failing ({value['failed']}/{value['tried']})" in said


def test_it_is_fixed_where_it_was_mended(finding: Path) -> None:
    with reference_server() as mended:
        said = doubletext("replay", str(finding), mended, "--json", cwd=finding, expect=0)
    assert json.loads(said)["state"] == "fixed"


def test_a_refusal_is_fixed_also_where_nothing_shows_that_a_run_was_inflight(finding: Path, tmp_path: Path) -> None:
    """A quick run can be over when the next is created, and with it the proof that a queue of one place was full."""
    folder, quick = shutil.copytree(finding, tmp_path / "quick"), program("quick")
    for tag in "BCD":
        quick = quick.create(tag, "enqueue", emit()).until_ended(tag)
    (folder / "program.json").write_text(json.dumps(quick.to_json()))
    with reference_server() as mended:
        said = doubletext("replay", str(folder), mended, "--json", cwd=tmp_path, expect=0)
    assert json.loads(said)["state"] == "fixed"


def test_what_is_not_there_could_not_run(finding: Path, tmp_path: Path) -> None:
    assert "cannot be reached" in doubletext("replay", str(finding), "http://127.0.0.1:9", cwd=tmp_path, expect=4)
    assert "finding.json" in doubletext("replay", str(tmp_path), "http://127.0.0.1:9", cwd=tmp_path, expect=2)


def test_the_script_of_a_finding_shows_it_without_this_suite(finding: Path, broken: str, tmp_path: Path) -> None:
    script = (finding / "reproduce.py").read_text()
    assert "conformance" not in script
    assert script.index("def scene") < script.index("class Stage")

    def run(url: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", str(finding / "reproduce.py"), url, "4"]  # it need not fail every time
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=90, check=False)

    shown = run(broken)
    assert shown.returncode == 1, shown.stdout + shown.stderr
    assert "the bug was seen" in shown.stdout
    with reference_server() as mended:
        shown = run(mended)
    assert shown.returncode == 0, shown.stdout + shown.stderr


def test_the_correct_server_gives_no_finding(tmp_path: Path) -> None:
    said = doubletext("fuzz", "--max-examples", "30", "--seed", "3", cwd=tmp_path, expect=0)
    assert "0 findings; 30 programs" in said
    result = json.loads((tmp_path / "doubletext-report" / "fuzz.json").read_text())
    assert result["programs"] == 30
    assert result["overlap"] > 15
    assert result["leaked"] == 0
    assert len(result["cells"]) > 20


def test_a_target_that_is_not_this_machine_needs_a_word(tmp_path: Path) -> None:
    said = doubletext("fuzz", "http://192.0.2.1:2024", cwd=tmp_path, expect=2)
    assert "--i-may-load-this-server" in said


@pytest.mark.parametrize(
    "wrong",
    [("--max-time", "soon"), ("--rate", "0"), ("--max-examples", "0"), ("--repeat", "2"), ("--report", "junit")],
)
def test_options_that_make_no_sense(wrong: tuple[str, str], tmp_path: Path) -> None:
    doubletext("fuzz", "http://127.0.0.1:9", *wrong, cwd=tmp_path, expect=2)


def test_a_target_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot be reached" in doubletext("fuzz", "http://127.0.0.1:9", cwd=tmp_path, expect=4)


def test_shrinking_is_part_of_the_time(broken: str, tmp_path: Path) -> None:
    doubletext("fuzz", broken, "--max-time", "6s", "--seed", "1", cwd=tmp_path, expect=1)
    result = json.loads((tmp_path / "doubletext-report" / "fuzz.json").read_text())
    assert result["findings"]
    assert result["duration_s"] < 6 + TAIL_S + 1


def test_ctrl_c_keeps_what_was_found(broken: str, tmp_path: Path) -> None:
    command = [*DOUBLETEXT, "fuzz", broken, "--max-time", "1h", "--seed", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path)
    findings = tmp_path / "doubletext-report" / "findings"
    end = time.monotonic() + 60
    while time.monotonic() < end and not list(findings.glob("*/finding.json")):
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=40)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "broken off; so far" in said
    assert json.loads((tmp_path / "doubletext-report" / "fuzz.json").read_text())["leaked"] == 0
