"""A transport without devices: satellites connect when a test says so."""

import asyncio
from collections.abc import AsyncIterator

from vonad.testing.line import ScriptedLine
from vonad.transport import Line, Transport


class ScriptedTransport(Transport):
    """Offers the lines that a test connects, and hangs up on all of them when it closes.

    asked: how often its lines were asked for.
    """

    def __init__(self, *satellites: str) -> None:
        self.waiting: asyncio.Queue[Line | BaseException | None] = asyncio.Queue()
        self.connected: list[ScriptedLine] = []
        self.asked = 0
        for satellite in satellites:
            self.connect(satellite)

    async def __aenter__(self) -> "ScriptedTransport":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def connect(self, satellite: str | ScriptedLine = "desk") -> ScriptedLine:
        """A satellite comes; by name, or a line that was made for it."""
        line = ScriptedLine(satellite) if isinstance(satellite, str) else satellite
        self.connected.append(line)
        self.waiting.put_nowait(line)
        return line

    def fail(self, error: BaseException) -> None:
        """Whoever asks for lines gets this error once."""
        self.waiting.put_nowait(error)

    def close(self) -> None:
        """All satellites go, and no more come."""
        for line in self.connected:
            line.hang_up()
        self.waiting.put_nowait(None)

    async def lines(self) -> AsyncIterator[Line]:
        self.asked += 1
        while (line := await self.waiting.get()) is not None:
            if isinstance(line, BaseException):
                raise line
            yield line
