"""An HTTP proxy between a client and a server on loopback, which notes requests and breaks some of them."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

PIECE = 64 << 10
STATUSES = {"503": "503 Slow Down", "403": "403 Forbidden"}


@dataclass(frozen=True)
class Request:
    """A request, without its body.

    Attributes:
        method: ``GET``, ``PUT`` ...
        target: path and query, as sent.
        headers: names in lower case.
        length: bytes of its body.
    """

    method: str
    target: str
    headers: dict[str, str]
    length: int

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


@dataclass
class Fault:
    """Breaks requests.

    Attributes:
        kind: ``503`` and ``403`` answer so and do not ask the server; ``drop_request`` closes in the middle of the
            request's body; ``drop_answer`` sends half of the server's answer; ``no_answer`` lets the server work, and
            closes.
        picks: which requests it is meant for.
        times: how many of them, from now on.
    """

    kind: str
    picks: Callable[[Request], bool]
    times: int = 1
    hits: list[Request] = field(default_factory=list)

    def takes(self, request: Request) -> bool:
        if len(self.hits) >= self.times or not self.picks(request):
            return False
        self.hits.append(request)
        return True


class FaultyProxy:
    """Listens on a port of its own until :meth:`close`. One thread per connection; one request per connection."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self._mutex = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    @contextlib.contextmanager
    def fault(self, kind: str, picks: Callable[[Request], bool], times: int = 1) -> Iterator[Fault]:
        """Breaks requests while the context lasts."""
        fault = Fault(kind, picks, times)
        self.faults.append(fault)
        try:
            yield fault
        finally:
            self.faults.remove(fault)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        # A client that goes away in the middle is part of what is tested.
        with client, contextlib.suppress(OSError):
            head = _read_head(client)
            if head is None:
                return
            raw, rest = head
            request = _parse(raw)
            with self._mutex:
                self.requests.append(request)
                fault = next((fault for fault in self.faults if fault.takes(request)), None)
            self._answer(client, raw, rest, request, fault.kind if fault else "")

    def _answer(self, client: socket.socket, raw: bytes, rest: bytes, request: Request, fault: str) -> None:
        if request.headers.get("expect", "").lower() == "100-continue":
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if fault == "drop_request":
            _receive(client, rest, request.length // 2)
            return
        body = _receive(client, rest, request.length)
        if fault in STATUSES:
            client.sendall(f"HTTP/1.1 {STATUSES[fault]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            return
        with socket.create_connection(self.server) as server:
            server.sendall(_closing(raw) + b"\r\n\r\n" + body)
            answer = b"".join(iter(lambda: server.recv(PIECE), b""))
        if fault == "no_answer":
            return
        client.sendall(answer[: len(answer) // 2] if fault == "drop_answer" else answer)


def _read_head(client: socket.socket) -> tuple[bytes, bytes] | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(PIECE)
        if not piece:
            return None
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _parse(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(method, target, headers, int(headers.get("content-length", "0")))


def _closing(head: bytes) -> bytes:
    """The head, asking the server to close after its answer and not to wait for the body."""
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"connection:", b"expect:"))]
    return b"\r\n".join([*kept, b"Connection: close"])


def _receive(client: socket.socket, begun: bytes, length: int) -> bytes:
    body = begun
    while len(body) < length:
        piece = client.recv(min(PIECE, length - len(body)))
        if not piece:
            raise OSError("the client closed in the middle of its request")
        body += piece
    return body
