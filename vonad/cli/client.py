"""The daemon as commands meet it: its HTTP API on vonad.sock, whose file permission is the authority."""

import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlencode

from vonad.cli.exits import NO_DAEMON, Failure, status_of
from vonad.directories import directories

CONNECT_S = 1.5
"""Seconds for the daemon to take a connection and, before a long request, to say that it lives."""
ANSWER_S = 10.0
"""Seconds for an answer that is not waited for on purpose."""

Json = object


class NoDaemon(Failure):
    """Nothing answers on the socket."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=NO_DAEMON)


def socket_path() -> Path:
    """Where the daemon of this user, or of this machine, listens."""
    return directories(os.environ, None).runtime / "vonad.sock"


class Daemon:
    """A running daemon, for as long as the `with` lasts. One connection, opened at the first request."""

    def __init__(self) -> None:
        self.path = socket_path()
        self._connection = _Connection(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._connection.close()

    def get(self, path: str, **query: object) -> Json:
        """Ask for something. Raises NoDaemon, or Failure with the daemon's own words."""
        return self._request("GET", path, query)

    def post(self, path: str, body: Mapping[str, object] | None = None, *, wait: float | None = None) -> Json:
        """Ask to have something done. wait: seconds to wait until it is done."""
        if wait is not None:
            self._request("GET", "/healthz", {}, seconds=CONNECT_S)
        query: dict[str, object] = {} if wait is None else {"wait": wait}
        return self._request("POST", path, query, body=body, seconds=ANSWER_S + (wait or 0))

    def delete(self, path: str, **query: object) -> Json:
        """Ask to have something removed."""
        return self._request("DELETE", path, query)

    def lines(self, path: str) -> Iterator[Json]:
        """An answer that comes as one JSON value a line."""
        response = self._send("GET", path, None, ANSWER_S)
        if response.status >= 400:
            raise _refusal(response.status, response.read())
        for line in response:
            yield json.loads(line)

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, object],
        *,
        body: Mapping[str, object] | None = None,
        seconds: float = ANSWER_S,
    ) -> Json:
        given = {name: _plain(value) for name, value in query.items() if value is not None and value is not False}
        response = self._send(method, f"{path}?{urlencode(given)}" if given else path, body, seconds)
        content = response.read()
        if response.status >= 400:
            raise _refusal(response.status, content)
        return json.loads(content) if content else None

    def _send(
        self, method: str, target: str, body: Mapping[str, object] | None, seconds: float
    ) -> http.client.HTTPResponse:
        self._connection.seconds = seconds
        data = None if body is None else json.dumps({k: v for k, v in body.items() if v is not None}).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        try:
            self._connection.request(method, target, data, headers)
            return self._connection.getresponse()
        except TimeoutError:
            raise NoDaemon(f"the daemon on {self.path} does not answer: it may be stuck, see its log") from None
        except PermissionError:
            raise NoDaemon(
                f"{self.path} is not open to you: use sudo, or become a member of the group that owns it"
            ) from None
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise NoDaemon(
                f"no daemon is running (nothing answers on {self.path}): start it with `vonad run`"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise NoDaemon(f"the daemon on {self.path} hung up ({error or type(error).__name__})") from None


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket. seconds: for each answer."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path
        self.seconds = ANSWER_S

    def connect(self) -> None:
        """Open the socket."""
        from vonad.web.sockets import address

        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONNECT_S)
        with address(self._path) as name:
            self.sock.connect(name)

    def send(self, data: object) -> None:
        """Send, and have the answer waited for no longer than wanted."""
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self.seconds)
        super().send(data)  # type: ignore[arg-type]  # whatever http.client itself hands on


def segment(value: str) -> str:
    """A value as one piece of a path."""
    return quote(value, safe="")


def records(value: Json) -> list[dict[str, object]]:
    """An answer that is a list of objects."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def record(value: Json) -> dict[str, object]:
    """An answer that is an object."""
    return value if isinstance(value, dict) else {}


def _plain(value: object) -> object:
    return "true" if value is True else value


def _refusal(status: int, content: bytes) -> Failure:
    try:
        error = json.loads(content)["error"]
        return Failure(error["message"], status=status_of(error["code"]), code=error["code"])
    except (ValueError, KeyError, TypeError):
        return Failure(f"the daemon answered with status {status} and nothing to read")
