"""Options that cannot be used: what is wrong, exit 2, nothing sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from bad_cli import check, clear

URL = "http://127.0.0.1:9"  # nothing may be sent there


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["127.0.0.1:2024"], ["http://"]),
        (["ftp://127.0.0.1"], ["http://"]),
        (["http://"], ["URL", "host"]),
        (["http://[::1"], ["URL", "host"]),
        (["http://localhost:99999"], ["URL", "port"]),
        (["http://localhost:port"], ["URL", "port"]),
        (["http://local host:80"], ["URL", "host"]),
        (["http://localhost/?a=b"], ["URL", "path"]),
        ([URL, "extra"], ["extra"]),
        ([URL, "--no-such-option"], ["--no-such-option"]),
        ([URL, "-H", "no colon"], ["-H", "Name: value"]),
        ([URL, "-H", ": x"], ["-H", "Name: value"]),
        ([URL, "-H", "two words: x"], ["-H", "name"]),
        ([URL, "-H", "X-A: b\r\nX-C: d"], ["-H", "Name: value"]),
        ([URL, "-H", "X-A: ü"], ["X-A", "ASCII"]),
        ([URL, "--api-key", "one\ntwo"], ["x-api-key", "line break"]),
        ([URL, "--report", "html5"], ["html5", "json, junit"]),
        ([URL, "--report", ","], ["report"]),
        ([URL, "--dialect", "klingon"], ["klingon", "agent-server"]),
        ([URL, "--only", "nothing.*"], ["nothing.*", "doubletext list"]),
        ([URL, "--skip", "nothing.*"], ["nothing.*", "doubletext list"]),
        ([URL, "--skip", "*"], ["--only and --skip"]),
        ([URL, "--repeat", "-1"], ["--repeat", "greater than 0"]),
        ([URL, "--repeat", "0"], ["--repeat", "greater than 0"]),
        ([URL, "--repeat", "many"], ["--repeat", "many"]),
        ([URL, "--parallel", "-2"], ["--parallel", "greater than 0"]),
        ([URL, "--request-timeout", "-1"], ["--request-timeout", "greater than 0"]),
        ([URL, "--request-timeout", "nan"], ["--request-timeout", "greater than 0"]),
        ([URL, "--settle-timeout", "0"], ["--settle-timeout", "greater than 0"]),
        ([URL, "--report-dir", "a-file/below"], ["--report-dir"]),
        ([URL, "--report-dir", "a-file"], ["--report-dir"]),
        ([URL, "--report-dir", "/proc/nowhere"], ["--report-dir"]),
    ],
    ids=lambda value: " ".join(value).replace(URL, "URL").encode("unicode_escape").decode() if value else None,
)
def test_options(arguments: list[str], parts: list[str], tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    clear(check(tmp_path, *arguments), 2, *parts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[tool.doubletext]\nassistent = 'x'\n", ["unknown option 'assistent'"]),
        ("[tool.doubletext]\nrepeat = 'often'\n", ["repeat", "often"]),
        ("[tool.doubletext]\nstrict = 'yes'\n", ["strict", "true or false"]),
        ("[tool.doubletext]\nparallel = -3\n", ["parallel", "greater than 0"]),
        ("[tool.doubletext]\nreport = ['pdf']\n", ["pdf"]),
        ("[tool.doubletext\n", ["pyproject.toml"]),
        ("[tool.doubletext]\nonly = 5\n", ["only"]),
        ("[tool.doubletext]\nheader = 'no colon'\n", ["Name: value"]),
    ],
    ids=lambda value: value.encode("unicode_escape").decode() if isinstance(value, str) else None,
)
def test_pyproject(text: str, parts: list[str], tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    clear(check(tmp_path, URL), 2, *parts)


def test_a_dialect_file_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "d.toml").write_text("refusal_code = 'four'\n")
    clear(check(tmp_path, URL, "--dialect", "d.toml"), 2, "refusal_code")
    (tmp_path / "d.toml").write_bytes(b"\xff\xfe")
    clear(check(tmp_path, URL, "--dialect", "d.toml"), 2, "d.toml")


def test_a_url_with_a_password_is_not_repeated(tmp_path: Path) -> None:
    for url in ("ftp://me:hush-4711@host", "http://me:hush-4711@host:port", "http://me:hu/sh-4711@host"):
        said = check(tmp_path, url)
        assert said.code == 2, said.text
        assert "4711" not in said.everything()
