"""A TCP proxy that can be made to misbehave: hold everything back, slice, delay, reset."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    """Forwards to a port of this machine.

    slice_bytes: forward so many bytes at a time, each in its own packet; 0: as they come.
    delay_s:     before each piece.
    counts:      connections made; proof that a fault was present.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.slice_bytes = 0
        self.delay_s = 0.0
        self.connections = 0
        self.held_bytes = 0
        self._target = target
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()

    def hold(self) -> None:
        """Half-open: connections stay, nothing passes any more."""
        self._flows.clear()

    def release(self) -> None:
        """What was held back passes."""
        self._flows.set()

    def reset(self) -> None:
        """Cut every connection, in the middle of whatever it was saying."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._writers |= ends
        try:
            pumps = {
                asyncio.create_task(self._pump(reader, far_writer)),
                asyncio.create_task(self._pump(far_reader, writer)),
            }
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                if not self._flows.is_set():
                    self.held_bytes += len(data)
                    await self._flows.wait()
                step = self.slice_bytes or len(data)
                for start in range(0, len(data), step):
                    if self.delay_s:
                        await asyncio.sleep(self.delay_s)
                    writer.write(data[start : start + step])
                    await writer.drain()
        except ConnectionError:
            pass


@asynccontextmanager
async def proxy_to(target: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(target)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await proxy.serve_one(reader, writer)
        finally:
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy
        proxy.release()
        proxy.reset()
        server.close()
        if serving:
            await asyncio.wait(serving)
