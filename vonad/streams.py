"""Streams: asynchronous iterators that end when their reader leaves, not when the garbage collector comes by."""

from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class closing(Generic[T]):  # noqa: N801  (reads like contextlib.aclosing)
    """Close a stream, where it can be closed, at the end of the `async with`: what it holds is given back there."""

    __slots__ = ("_stream",)

    def __init__(self, stream: AsyncIterator[T]) -> None:
        self._stream = stream

    async def __aenter__(self) -> AsyncIterator[T]:
        return self._stream

    async def __aexit__(self, *failure: object) -> None:
        close = getattr(self._stream, "aclose", None)
        if close is not None:
            await close()
