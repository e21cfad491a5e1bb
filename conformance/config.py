"""Options of a check: their defaults, their twins in ``[tool.doubletext]`` of ``pyproject.toml``."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from conformance.dialects import Dialect

if TYPE_CHECKING:
    from conformance.baseline import Baseline


class BadOption(Exception):
    """An option's value cannot be used; the text says which and what to do."""


REPORTS = ("json", "junit", "html", "markdown", "sarif")


@dataclass(frozen=True)
class Options:
    """What a user can ask of a check; the names are those of the command line."""

    assistant: str = "doubletext"
    input: str | None = None  # a file: the input of the assistant's graph, which is no probe
    header: tuple[str, ...] = field(default=(), repr=False)
    api_key: str | None = field(default=None, repr=False)
    dialect: str = "agent-server"
    baseline: str | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    repeat: int = 1
    parallel: int | None = None
    strict: bool = False
    request_timeout: float = 10.0
    settle_timeout: float | None = None
    seed: int | None = None
    report: tuple[str, ...] = ("json",)
    report_dir: str = "doubletext-report"
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False

    def headers(self) -> dict[str, str]:
        """The headers of every request; raises BadOption for one without a colon."""
        headers = {}
        for line in self.header:
            name, colon, value = line.partition(":")
            if not colon or not name.strip() or any(c in line for c in "\r\n"):
                raise BadOption("-H takes 'Name: value'; one of the headers given has no colon, or no name")
            headers[name.strip()] = value.strip()
        key = self.api_key or os.environ.get("DOUBLETEXT_API_KEY")
        if key:
            headers["x-api-key"] = key
        for name, value in headers.items():
            if not (name + value).isascii():
                raise BadOption(f"the header {name!r} has characters outside ASCII, which HTTP cannot carry")
        return headers

    def given_input(self) -> Any:
        """What --input holds, None without it; raises BadOption where that is no JSON, or null."""
        if self.input is None:
            return None
        try:
            value = json.loads(Path(self.input).read_text())
        except OSError as e:
            raise BadOption(f"--input {self.input}: {e.strerror or e}") from e
        except (ValueError, RecursionError) as e:
            raise BadOption(f"--input {self.input}: not JSON: {e}") from e
        if value is None:
            raise BadOption(f"--input {self.input}: null is no input, but tells a server to go on with an earlier run")
        return value

    def selected(self, ids: Iterable[str]) -> list[str]:
        """The requirement ids that --only and --skip leave; raises BadOption for a glob without match."""
        ids = list(ids)
        for glob in (*self.only, *self.skip):
            if not fnmatch.filter(ids, glob):
                raise BadOption(f"no requirement matches {glob!r}; `doubletext list` shows them all")
        kept = [i for i in ids if not self.only or any(fnmatch.fnmatch(i, g) for g in self.only)]
        kept = [i for i in kept if not any(fnmatch.fnmatch(i, g) for g in self.skip)]
        if not kept:
            raise BadOption("--only and --skip leave no requirement")
        return kept

    def checked(self) -> Options:
        """These options, if their values make sense; raises BadOption otherwise."""
        for name in ("repeat", "parallel", "request_timeout", "settle_timeout"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise BadOption(f"--{name.replace('_', '-')} must be greater than 0, not {value}")
        for name in self.report:
            if name not in REPORTS:
                raise BadOption(f"no report {name!r}; there are {', '.join(REPORTS)}")
        return self


def from_pyproject(folder: Path) -> Options:
    """Defaults with what ``[tool.doubletext]`` of the nearest ``pyproject.toml`` sets.

    Raises:
        BadOption: the file cannot be read, or sets something unknown or of the wrong type.
    """
    for place in (folder, *folder.parents):
        file = place / "pyproject.toml"
        if file.is_file():
            break
    else:
        return Options()
    try:
        tool = tomllib.loads(file.read_text()).get("tool", {})
        table = tool.get("doubletext", {}) if isinstance(tool, dict) else tool
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise BadOption(f"{file}: {e}") from e
    if not isinstance(table, dict):
        raise BadOption(f"{file}: [tool.doubletext] must be a table of options, not {table!r}")
    return merged(Options(), table, f"{file}: [tool.doubletext]")


def merged(options: Options, given: Mapping[str, Any], where: str) -> Options:
    """``options`` with the values of ``given``, whose keys may be written with dashes or underscores."""
    known = {f.name: f for f in fields(Options)}
    values: dict[str, Any] = {}
    for key, value in given.items():
        name = key.replace("-", "_")
        if name not in known:
            raise BadOption(f"{where}: unknown option {key!r}")
        values[name] = _typed(name, value, where)
    return replace(options, **values)


def _typed(name: str, value: Any, where: str) -> Any:
    default = getattr(Options(), name)
    try:
        match name:
            case "parallel" | "seed" | "repeat":
                return None if value is None else int(value)
            case "settle_timeout" | "request_timeout":
                return None if value is None else float(value)
            case "strict" | "quiet" | "verbose" | "no_color":
                if not isinstance(value, bool):
                    raise ValueError("expected true or false")
                return value
        if isinstance(default, tuple):
            parts = value.split(",") if isinstance(value, str) and name == "report" else value
            parts = (parts,) if isinstance(parts, str) else parts
            return tuple(str(v) for v in parts)
        return None if value is None else str(value)
    except (TypeError, ValueError) as e:
        raise BadOption(f"{where}: {name.replace('_', '-')} cannot be {value!r}: {e}") from e


def check_url(url: str) -> None:
    """Raises BadOption where no request can be sent there; its text shows no user name and no password."""
    if not url.startswith(("http://", "https://")):
        raise BadOption("URL must start with http:// or https://")
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and parts.port != 0 and not re.search(r"[\s\x00-\x1f\x7f]", url)
    except ValueError:
        good = False
    if not good:
        raise BadOption("URL must be http(s)://HOST[:PORT][/PATH]; this one has no valid host, or no valid port")
    if parts.query or parts.fragment:
        raise BadOption("URL must end with its path: leave out ? and # and what follows")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises BadOption for what HTTP cannot carry; its text shows no value."""
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise BadOption("-H takes 'Name: value'; one of the headers given has a name that HTTP does not allow")
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise BadOption(f"the value of the header {name!r} has a line break or another control character")


@dataclass(frozen=True)
class Plan:
    """A check, fully resolved: where, what, and how hard."""

    url: str
    options: Options
    dialect: Dialect
    seed: int
    cracks: int = 30  # trials for each displacing call and each way to hit the end of a superstep
    generated: bool = True  # requests are made of the target's own description, too
    rounds: int = 3  # inconclusive programs are tried again so often
    histories: Path | None = None
    baseline: Baseline | None = None
    embedded: bool = False  # the URL is that of the embedded server, which is gone after the check

    def again(self, shown_url: str) -> tuple[str, ...]:
        """The command of this check but for its selection and seed. Headers are left out: their values are secret."""
        options, usual = self.options, Options()
        words = ["doubletext", "check", *(() if self.embedded else (shown_url,))]
        for name in ("assistant", "input", "dialect", "repeat", "parallel", "request_timeout", "settle_timeout"):
            value = getattr(options, name)
            if value != getattr(usual, name):
                words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
        return (*words, "--strict") if options.strict else tuple(words)
