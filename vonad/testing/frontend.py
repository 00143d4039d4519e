"""A frontend without a face."""

import asyncio

from vonad.errors import VonadError
from vonad.frontend import Frontend


class ScriptedFrontend(Frontend):
    """Serves until cancelled, or fails once with `failure`.

    served: how often it was asked to serve. serving: set while it does.
    """

    def __init__(self) -> None:
        self.failure: VonadError | None = None
        self.served = 0
        self.serving = asyncio.Event()

    async def serve(self) -> None:
        self.served += 1
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        self.serving.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.serving.clear()
