"""Dialects: the switches in which servers legitimately differ, each with the source of the contradiction.

A switch either says which of several documented *forms* a server has chosen (the code of a refusal), or it
*pins* a POLICY: what the sources leave open is then demanded, and a deviation fails as a MUST would. Where a
dialect pins nothing, the policy is reported and never failed. No switch touches a MUST of the four strategies:
a 422 for a 409 can be a dialect, a rollback that keeps the run cannot.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from conformance.requirements import REGISTRY
from conformance.requirements.base import Exercised, Judgement, Level, Observed, Requirement, Violation


class UnknownDialect(Exception):
    """Neither the name of a dialect nor a readable file of switches; the text says what was wrong."""


@dataclass(frozen=True)
class Switch:
    """One documented contradiction: which requirement it is about, the values it can take, and its source.

    ``values`` maps each to what it means. Of a switch that pins a policy, the requirement's classification
    contains that text where the target does as pinned.
    """

    requirement: str
    values: Mapping[int | str, str]
    pins: bool
    source: str


SWITCHES: dict[str, Switch] = {
    "refusal_code": Switch(
        "reject.code",
        {409: "409 Conflict", 422: "422 Unprocessable Content", 400: "400 Bad Request", 423: "423 Locked"},
        pins=False,
        source='S0 "Raises 409 Conflict if a run is already active", S2; the JavaScript server answers 422',
    ),
    "default_strategy": Switch(
        "default.strategy",
        {strategy: strategy for strategy in ("reject", "enqueue", "interrupt", "rollback")},
        pins=True,
        source='S2 "Enqueue is the default strategy"; S0 "no global default"; Agent Protocol 0.1.6: reject',
    ),
    "displaced_pending": Switch(
        "displaced.pending",
        {"all": "displaces queued runs too", "executing": "leaves queued runs"},
        pins=True,
        source="the sources are silent; measured: many servers displace every inflight run",
    ),
    "update_state_busy": Switch(
        "state.update-busy",
        {"refused": "refused", "accepted": "accepted"},
        pins=True,
        source="the sources are silent; measured: 409 while a run is inflight, or accepted",
    ),
    "delete_active": Switch(
        "delete.active",
        {"allowed": "allowed", "refused": "refused"},
        pins=True,
        source="the sources are silent; measured: allowed, or refused unless forced",
    ),
    "cancel_code": Switch(
        "cancel.codes",
        {200: "200 OK", 202: "202 Accepted", 204: "204 No Content"},
        pins=False,
        source="Agent Server's API reference: 200; measured: 202 without wait; Agent Protocol 0.1.6: 204",
    ),
    "history_names_run": Switch(
        "checkpoint.attributed",
        {"yes": "each checkpoint's metadata has the run_id", "no": "it has not"},
        pins=False,
        source="Agent Server's history has metadata.run_id; the Agent Protocol's need not",
    ),
}


@dataclass(frozen=True)
class Dialect:
    """One value for each switch of ``SWITCHES``; None pins nothing."""

    name: str = "agent-server"
    refusal_code: int = 409
    default_strategy: str | None = None
    displaced_pending: str | None = None
    update_state_busy: str | None = None
    delete_active: str | None = None
    cancel_code: int = 202
    history_names_run: str = "yes"

    def to_json(self) -> dict[str, Any]:
        """The switches as one JSON value."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Dialect:
        """The dialect that a file holds: ``extends`` names the one whose switches it starts from.

        Raises:
            UnknownDialect: a switch is unknown, has an impossible value, or is about a requirement that this
                version does not judge: then it would promise a check that nobody makes.
        """
        given = dict(value)
        base = given.pop("extends", "agent-server")
        if base not in DIALECTS:
            raise UnknownDialect(f"extends = {base!r}: there are {', '.join(DIALECTS)}")
        if not isinstance(given.get("name", ""), str):
            raise UnknownDialect(f"name takes a text, not {given['name']!r}")
        for name, chosen in given.items():
            if name != "name":
                _check_switch(name, chosen)
        return replace(DIALECTS[base], **given)


def _check_switch(name: str, chosen: Any) -> None:
    if name not in SWITCHES:
        near = difflib.get_close_matches(name, SWITCHES, 1, 0.6)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownDialect(f"unknown switch {name!r}; {hint}known are {', '.join(SWITCHES)}")
    switch = SWITCHES[name]
    if isinstance(chosen, bool) or not isinstance(chosen, int | str) or chosen not in switch.values:
        raise UnknownDialect(f"{name} takes one of {', '.join(map(repr, switch.values))}, not {chosen!r}")
    if switch.requirement not in REGISTRY:
        raise UnknownDialect(f"{name} is about {switch.requirement}, which this version does not judge: leave it out")


assert {f.name for f in fields(Dialect)} == {"name", *SWITCHES}

DIALECTS = {
    d.name: d
    for d in (
        Dialect(),
        Dialect("agent-server-js", refusal_code=422),
        Dialect("agent-protocol", default_strategy="reject", cancel_code=204, history_names_run="no"),
    )
}


def find_dialect(name_or_file: str) -> Dialect:
    """The dialect of that name, or the one in a TOML file of switches.

    Raises:
        UnknownDialect: it is neither.
    """
    if name_or_file in DIALECTS:
        return DIALECTS[name_or_file]
    path = Path(name_or_file)
    if not path.is_file():
        raise UnknownDialect(
            f"no dialect {name_or_file!r}: use one of {', '.join(DIALECTS)}, or the path of a TOML file"
        )
    try:
        value = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise UnknownDialect(f"{path}: {e}") from e
    try:
        return Dialect.from_json({"name": path.stem, **value})
    except UnknownDialect as e:
        raise UnknownDialect(f"{path}: {e}") from e


# --- pinned policies ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pin:
    """A policy that the dialect demands: judged as a MUST."""

    value: str
    demanded: str

    def held_to(self, judgement: Judgement) -> Iterator[Judgement]:
        """The judgement, and, of a classification, whether it is the demanded one."""
        yield judgement
        if isinstance(judgement, Observed):
            if self.demanded in judgement.policy:
                yield Exercised()
            else:
                yield Violation(f"{self.demanded}, as the dialect pins it", judgement.policy, judgement.proof)


def pins_of(dialect: Mapping[str, Any]) -> dict[str, Pin]:
    """The pins of a dialect as histories hold it, by requirement id."""
    chosen = {name: dialect.get(name) for name, switch in SWITCHES.items() if switch.pins}
    return {
        SWITCHES[name].requirement: Pin(value, SWITCHES[name].values.get(value, value))
        for name, value in chosen.items()
        if isinstance(value, str)
    }


def under(dialect: Dialect | Mapping[str, Any]) -> dict[str, Requirement]:
    """All requirements as a dialect (or what a history says of it) has them: a pinned POLICY is a MUST, and says so."""
    requirements = dict(REGISTRY)
    value = dialect.to_json() if isinstance(dialect, Dialect) else dialect
    for id, pin in pins_of(value).items():
        if id in requirements:
            policy = requirements[id]
            statement = f"{policy.statement} Pinned by the dialect {value.get('name')}: {pin.value}."
            requirements[id] = replace(policy, level=Level.MUST, statement=statement)
    return requirements
