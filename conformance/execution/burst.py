"""Simultaneous calls: connections opened beforehand, everything but the last byte sent, then one
tight loop that sends the last bytes.

httpx's pool spreads ten calls over some 20 ms; this spreads them over less than one, which is what
it takes to hit a check-then-act window (measured on loopback: 23 % against 98 % of bursts).
"""

from __future__ import annotations

import json
import selectors
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import h11

from conformance.execution.client import Address


@dataclass(frozen=True)
class Shot:
    """One request of a burst."""

    method: str
    path: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Hit:
    """What became of it; instants are readings of ``time.monotonic()``."""

    sent: float
    received: float
    status: int | None
    text: str
    error: str | None


class _Flight:
    """One connection of a burst, from its opening to its answer."""

    def __init__(self, address: Address, shot: Shot) -> None:
        self._protocol = h11.Connection(h11.CLIENT)
        self.socket = _connect(address)
        parts = urlsplit(address.url)
        data = json.dumps(shot.body).encode()
        headers = {
            "host": parts.netloc.rpartition("@")[2],
            "content-type": "application/json",
            "accept": "application/json",
            "connection": "close",
            "content-length": str(len(data)),
            **{k.lower(): v for k, v in address.headers.items()},
        }
        request = h11.Request(
            method=shot.method, target=parts.path.rstrip("/") + shot.path, headers=list(headers.items())
        )
        self._head = (self._protocol.send(request) or b"") + (self._protocol.send(h11.Data(data=data)) or b"")
        self._protocol.send(h11.EndOfMessage())
        self.sent = self.received = 0.0
        self.status: int | None = None
        self.error: str | None = None
        self._body = bytearray()

    def load(self) -> None:
        """Send everything but the last byte."""
        self.socket.sendall(self._head[:-1])

    def fire(self) -> None:
        """Send the last byte."""
        self.sent = time.monotonic()
        self.socket.sendall(self._head[-1:])

    def receive(self) -> bool:
        """Take what has arrived; says whether the answer is complete (or never will be)."""
        try:
            self._protocol.receive_data(self.socket.recv(65536))
            while True:
                match self._protocol.next_event():
                    case h11.Response(status_code=status):
                        self.status = status
                    case h11.Data(data=data):
                        self._body += data
                    case h11.EndOfMessage():
                        self.received = time.monotonic()
                        return True
                    case h11.NEED_DATA:
                        # TLS may hold more bytes than the selector can see.
                        pending = self.socket.pending() if isinstance(self.socket, ssl.SSLSocket) else 0
                        if not pending:
                            return False
                        self._protocol.receive_data(self.socket.recv(pending))
                    case _:
                        raise h11.RemoteProtocolError("connection ended")
        except (OSError, h11.RemoteProtocolError) as e:
            return self.fail(f"{type(e).__name__}: {e}")

    def fail(self, why: str) -> bool:
        """End without a complete answer."""
        self.received, self.status, self.error = time.monotonic(), None, why
        return True

    def hit(self) -> Hit:
        """What became of the request."""
        self.socket.close()
        return Hit(self.sent, self.received, self.status, self._body.decode("utf-8", "replace"), self.error)


def _connect(address: Address) -> socket.socket:
    parts = urlsplit(address.url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    plain = socket.create_connection((parts.hostname or "localhost", port), timeout=address.request_timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not secure:
        return plain
    return ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)


def fire(address: Address, shots: Sequence[Shot]) -> list[Hit]:
    """Send the requests as simultaneously as one thread can; blocks, at most for the request timeout.

    Raises:
        OSError: a connection could not be opened; nothing was sent.
    """
    flights: list[_Flight] = []
    try:
        for shot in shots:
            flights.append(_Flight(address, shot))
        for flight in flights:
            flight.load()
    except OSError:
        for flight in flights:
            flight.socket.close()
        raise
    for flight in flights:
        try:
            flight.fire()
        except OSError as e:
            flight.fail(f"{type(e).__name__}: {e}")
    end = time.monotonic() + address.request_timeout
    with selectors.DefaultSelector() as selector:
        for flight in flights:
            if flight.error is None:
                selector.register(flight.socket, selectors.EVENT_READ, flight)
        while selector.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if key.data.receive():
                    selector.unregister(key.fileobj)
        for key in list(selector.get_map().values()):
            key.data.fail("ReadTimeout: no answer within the request timeout")
    return [flight.hit() for flight in flights]
