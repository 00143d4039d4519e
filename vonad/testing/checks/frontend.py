"""The promises of Frontend."""

import asyncio

from vonad.frontend import Frontend
from vonad.testing.checks.promise import SHORTLY_S, nothing_left, promise, soon


async def check_frontend(frontend: Frontend) -> None:
    """An open frontend: it serves until it is cancelled, and again afterwards."""
    promise(isinstance(frontend, Frontend), f"it is a Frontend: got {type(frontend).__name__}")
    for _ in range(2):
        async with nothing_left("Frontend.serve that was cancelled"):
            serving = asyncio.create_task(frontend.serve(), name="check: serving")
            await asyncio.wait({serving}, timeout=SHORTLY_S)
            promise(not serving.done(), "Frontend.serve serves until it is cancelled: it has returned")
            serving.cancel()
            await soon(asyncio.wait({serving}), "Frontend.serve ends when it is cancelled")
            promise(serving.cancelled(), "Frontend.serve lets its cancellation through")
